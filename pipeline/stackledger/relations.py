"""The relations of a connection that are not made by SQL: recorded tables, facts, layer rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from stackledger.manifest import Manifest
    from stackledger.schema import Table
    from stackledger.store import Capture

# As uname calls them, and as the table of system calls does.
_ARCHITECTURES = {
    "aarch64": "arm64",
    "ppc64le": "powerpc64",
    "riscv64": "riscv64",
    "s390x": "s390x",
    "x86_64": "x86_64",
}
_SQL_TYPES = {
    "int64": "BIGINT",
    "int32": "INTEGER",
    "int16": "SMALLINT",
    "float64": "DOUBLE",
    "bool": "BOOLEAN",
    "string": "VARCHAR",
    "binary": "BLOB",
}


def define(
    connection: duckdb.DuckDBPyConnection,
    capture: Capture,
    rules: Sequence[tuple[str, str, str]],
    files: Mapping[str, list[str]],
) -> None:
    """Define every table of the registry, and what the manifest and the layer rules say.

    `files`: each table's parts.
    """
    _facts(connection, capture)
    _syscall_names(connection, capture)
    _name_files(connection, capture, files)
    for table in capture.tables.values():
        cut = bool(capture.manifest.kept_from_ns) and table.has("ts_ns") and not table.whole
        _table(connection, table, files[table.name], cut=cut)
    _layer_rules(connection, rules)


def _name_files(
    connection: duckdb.DuckDBPyConnection, capture: Capture, files: Mapping[str, list[str]]
) -> None:
    """Tell a connection where the tables' parts are, as each connection has to be told.

    A view cannot take parameters, a variable can: no path is pasted into SQL.
    """
    connection.execute("SET VARIABLE capture_folder = $1", [str(capture.folder)])
    kept_from_ns = capture.manifest.kept_from_ns
    connection.execute("SET VARIABLE kept_from_ts_ns = $1::BIGINT", [kept_from_ns])
    for name in capture.tables:
        if files[name]:
            connection.execute(f"SET VARIABLE files_{name} = $files", {"files": files[name]})


def name_files_alike(
    other: duckdb.DuckDBPyConnection, connection: duckdb.DuckDBPyConnection, capture: Capture
) -> None:
    """Tell a connection what another one was told: parts that came since are not readable."""
    for name in (
        "capture_folder",
        "kept_from_ts_ns",
        *(f"files_{table}" for table in capture.tables),
    ):
        row = connection.execute("SELECT getvariable($1)", [name]).fetchone()
        if row is not None and row[0] is not None:
            other.execute(f"SET VARIABLE {name} = $1", [row[0]])


def _table(
    connection: duckdb.DuckDBPyConnection, table: Table, files: list[str], *, cut: bool
) -> None:
    """Define one table: a view of its parts, or empty.

    `cut`: the oldest part may hold rows that are not kept any longer, and are not shown.
    """
    name, columns = table.name, table.columns
    if files:
        import duckdb

        # All parts of a capture have the columns of the first: an hour has thousands of them.
        parts = f"read_parquet(getvariable('files_{name}'), hive_partitioning = false)"
        kept = " WHERE ts_ns >= getvariable('kept_from_ts_ns')" if cut else ""
        try:
            listed = ", ".join(f'"{column.name}"' for column in columns)
            connection.execute(f'CREATE VIEW "{name}" AS SELECT {listed} FROM {parts}{kept}')  # noqa: S608 - registry
        except duckdb.BinderException:
            # Recorded before some columns were registered: they are NULL.
            found = connection.execute(f"SELECT * FROM {parts} LIMIT 0").description or ()  # noqa: S608
            there = {column[0] for column in found}
            listed = ", ".join(
                f'"{column.name}"'
                if column.name in there
                else f'NULL::{_SQL_TYPES[column.kind]} AS "{column.name}"'
                for column in columns
            )
            connection.execute(f'CREATE VIEW "{name}" AS SELECT {listed} FROM {parts}{kept}')  # noqa: S608
    else:
        typed = ", ".join(f'"{column.name}" {_SQL_TYPES[column.kind]}' for column in columns)
        connection.execute(f'CREATE TABLE "{name}" ({typed})')


def literal(text: str) -> str:
    """Return our own registry's text as an SQL literal (COMMENT takes no parameter)."""
    return "'" + text.replace("'", "''") + "'"


def _facts(connection: duckdb.DuckDBPyConnection, capture: Capture) -> None:
    """Tables from the manifest: capture, loss, disk."""
    told = capture.manifest
    connection.execute(
        "CREATE TABLE capture (id VARCHAR, name VARCHAR, host VARCHAR, state VARCHAR,"
        " started_ts_ns BIGINT, ended_ts_ns BIGINT, cpus INTEGER, memory_bytes BIGINT)"
    )
    connection.execute(
        "INSERT INTO capture VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        [
            told.id,
            told.name,
            told.host,
            told.state,
            told.begin_ns,
            told.ended_ns or capture.last_ts_ns,
            told.machine.cpus,
            told.machine.memory_bytes,
        ],
    )
    connection.execute(
        'CREATE TABLE loss ("table" VARCHAR, produced BIGINT, received BIGINT, lost BIGINT,'
        " undecodable BIGINT, dropped BIGINT)"
    )
    for one in told.losses:
        row = [one.table, one.produced, one.received, one.lost, one.undecodable, one.dropped]
        connection.execute("INSERT INTO loss VALUES ($1, $2, $3, $4, $5, $6)", row)
    _overhead(connection, told)
    connection.execute("CREATE TABLE disk (dev INTEGER, name VARCHAR, size_bytes BIGINT)")
    for disk in told.topology.disks:
        connection.execute(
            "INSERT INTO disk VALUES ($1, $2, $3)", [disk.dev, disk.name, disk.size_bytes]
        )


def _overhead(connection: duckdb.DuckDBPyConnection, told: Manifest) -> None:
    """What the recording cost: one row per probe and one of stackledger, none where not known."""
    connection.execute(
        "CREATE TABLE overhead (probe VARCHAR, state VARCHAR, stopped_ts_ns BIGINT,"
        " bpftrace_cpu_ns BIGINT, programs_cpu_ns BIGINT, stackledger_cpu_ns BIGINT,"
        " elapsed_ns BIGINT, cpus INTEGER)"
    )
    if told.overhead is None:
        return
    spent = told.overhead
    rows: list[list[str | int | None]] = [
        [run.name, run.state, run.stopped_ns or None, run.bpftrace_cpu_ns, run.programs_cpu_ns]
        for run in told.probes
        if run.bpftrace_cpu_ns is not None
    ]
    own = spent.stackledger_cpu_ns
    rows = [*([*row, None] for row in rows), ["", told.state, None, None, None, own]]
    for row in rows:
        connection.execute(
            "INSERT INTO overhead VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            [*row, spent.elapsed_ns, spent.cpus],
        )


def _syscall_names(connection: duckdb.DuckDBPyConnection, capture: Capture) -> None:
    """Define the names of the system calls of the capture's architecture, where it has any."""
    connection.execute("CREATE TABLE syscall_name (syscall INTEGER, name VARCHAR)")
    if capture.files("syscall_count"):
        name_syscalls(connection, capture.manifest.machine.arch)


def name_syscalls(connection: duckdb.DuckDBPyConnection, machine: str) -> None:
    """Fill in the names of the system calls of an architecture, as uname calls it."""
    arch = _ARCHITECTURES.get(machine)
    if arch:
        from system_calls import syscalls

        names = syscalls().load_arch_table(arch)
        connection.execute(
            "INSERT INTO syscall_name SELECT unnest($1), unnest($2)",
            # A return from a signal's handler leaves no number behind.
            [[*names.values(), -1], [*names, "rt_sigreturn"]],
        )


def _layer_rules(
    connection: duckdb.DuckDBPyConnection, rules: Sequence[tuple[str, str, str]]
) -> None:
    connection.execute(
        "CREATE TABLE layer_rule (priority INTEGER, field VARCHAR, pattern VARCHAR, layer VARCHAR)"
    )
    numbered = ((number, *rule) for number, rule in enumerate(rules))
    connection.execute(
        "INSERT INTO layer_rule SELECT unnest($1), unnest($2), unnest($3), unnest($4)",
        [list(column) for column in zip(*numbered, strict=True)],
    )
