"""Tiny captures, from CSV files or rows: a column that is not given is 0, empty or false.

`NULL` in a CSV file is NULL.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from stackledger import store
from stackledger.analysis.assembly import assemble
from stackledger.manifest import Disk, Loss, Machine, Manifest, Overhead, ProbeRun, Topology
from stackledger.schema import SCHEMA_VERSION, TABLES, Column

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

CASES = Path(__file__).with_name("cases")
_NOTHING = {"bool": "'false'", "string": "''", "binary": "NULL"}
_ELSE = {("request", "complete"): "'true'", ("call", "complete"): "'true'"}
# Of these a column that is not given is NULL: so they are recorded.
_SPARSE = {"cgroup_stat", "host_limit", "host_memory", "host_net", "process_stat", "socket"}
_TYPES = {
    "int64": "BIGINT",
    "int32": "INTEGER",
    "int16": "SMALLINT",
    "bool": "BOOLEAN",
    "string": "VARCHAR",
    "binary": "BLOB",
    "float64": "DOUBLE",
}

Rows = "Iterable[Mapping[str, object]]"


def manifest() -> Manifest:
    """Return the manifest of a capture of one second with one disk."""
    return Manifest(
        schema_version=SCHEMA_VERSION,
        id="20260102T030405Z-0a1b2c",
        name="tiny",
        state="complete",
        host="web-1",
        kernel="6.18",
        boot_id="b",
        machine=Machine(cpus=2, memory_bytes=1 << 33, arch="x86_64"),
        stackledger="0",
        bpftrace="0.17.0",
        started_ns=1,
        ended_ns=1_000_000_001,
        options={},
        filters={},
        topology=Topology(
            disks=[Disk(dev=8 << 20, name="sda", major=8, minor=0, size_bytes=1, rotational=False)]
        ),
        probes=[
            _run("block_io", 20_000_000, 10_000_000),
            _run("request_ledger", 50_000_000, None),
        ],
        overhead=Overhead(elapsed_ns=10**9, cpus=2, stackledger_cpu_ns=30_000_000),
        losses=[Loss(table="call", produced=10, received=8, lost=1, undecodable=1)],
    )


def _run(probe: str, bpftrace_cpu_ns: int, programs_cpu_ns: int | None) -> ProbeRun:
    return ProbeRun(
        name=probe,
        variant="",
        sha256="",
        tables=[],
        state="complete",
        bpftrace_cpu_ns=bpftrace_cpu_ns,
        programs_cpu_ns=programs_cpu_ns,
    )


def _else(table: str, column: Column) -> str:
    """Return what a column is where it is not given, as an SQL text."""
    if table in _SPARSE:
        return "'NULL'"
    return _ELSE.get((table, column.name), _NOTHING.get(column.kind, "'0'"))


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Any) -> None:
    columns = TABLES[table].columns
    given = []
    for row in rows:
        unknown = set(row) - {column.name for column in columns}
        assert not unknown, f"{table} has no column {unknown}"
        given.append(row)
    texts = {
        column.name: pa.array([_text(row.get(column.name)) for row in given], pa.string())
        for column in columns
    }
    connection.register("given_rows", pa.table(texts))
    values = [
        f"nullif(coalesce(\"{column.name}\", {_else(table, column)}), 'NULL')"
        f"::{_TYPES[column.kind]}"
        for column in columns
    ]
    connection.execute(f'INSERT INTO "{table}" SELECT {", ".join(values)} FROM given_rows')
    connection.unregister("given_rows")


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return "".join(f"\\x{byte:02X}" for byte in value)
    return None if value is None else str(value)


@pytest.fixture(scope="session")
def capture() -> Callable[..., duckdb.DuckDBPyConnection]:
    """Give a function that opens a capture with the rows of some tables, assembled or not.

    `before` is called when the rows are in and nothing is assembled.
    """

    def opened(
        *,
        assembled: bool = True,
        before: Callable[[duckdb.DuckDBPyConnection], None] = lambda _connection: None,
        **tables: Rows,
    ) -> duckdb.DuckDBPyConnection:
        told = store.Capture(Path("no-files"), manifest())
        connection = store.connect(told, with_views=not assembled)
        for table, rows in tables.items():
            _insert(connection, table, rows)
        before(connection)
        if assembled:
            assemble(connection)
        return connection

    return opened


@pytest.fixture(scope="session")
def case(
    capture: Callable[..., duckdb.DuckDBPyConnection],
) -> Callable[..., duckdb.DuckDBPyConnection]:
    """Give a function that opens `cases/NAME`, a CSV file per table; to be read, not changed."""

    @cache
    def opened(name: str, *, assembled: bool = True) -> duckdb.DuckDBPyConnection:
        return capture(assembled=assembled, **rows_of(name))

    return opened


def rows_of(name: str) -> dict[str, list[dict[str, object]]]:
    """Return the tables of `cases/NAME`."""
    tables = {}
    for path in sorted((CASES / name).glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            tables[path.stem] = [
                {column: value or None for column, value in row.items()}
                for row in csv.DictReader(file)
            ]
    return tables


@pytest.fixture(scope="session")
def case_rows() -> Callable[[str], dict[str, list[dict[str, object]]]]:
    """Give the function that reads a case's tables."""
    return rows_of
