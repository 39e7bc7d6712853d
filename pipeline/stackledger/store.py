"""Opens captures: finds them, and gives a DuckDB connection with every view defined.

Nothing here writes to a capture. The connection is in memory; the capture's
Parquet files are read in place.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger import manifest as manifests
from stackledger.errors import NoSuchCaptureError, StackledgerError, UsageError, nearest
from stackledger.manifest import Manifest
from stackledger.resources import folder as resource_folder
from stackledger.schema import SCHEMA_VERSION, TABLES

if TYPE_CHECKING:
    import duckdb

STORE_VARIABLE = "STACKLEDGER_STORE"

_SQL_TYPES = {
    "int64": "BIGINT",
    "int32": "INTEGER",
    "int16": "SMALLINT",
    "bool": "BOOLEAN",
    "string": "VARCHAR",
    "binary": "BLOB",
}
LAYER_FIELDS = ("program", "service", "container", "port")


@dataclass(frozen=True, slots=True)
class Capture:
    """One capture on disk: `folder` holds capture.json and a folder per table."""

    folder: Path
    manifest: Manifest

    def files(self, table: str) -> list[str]:
        """Return the finished Parquet parts of a table, oldest first."""
        return sorted(str(part) for part in (self.folder / table).glob("part-*.parquet"))

    @property
    def incomplete(self) -> bool:
        """True where the writer ended without finishing, or is still at work."""
        return self.manifest.state != "complete"


def default_store() -> Path:
    """Return `$STACKLEDGER_STORE`, else the platform's data folder."""
    if given := os.environ.get(STORE_VARIABLE):
        return Path(given)
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "stackledger"


def captures(store: Path) -> list[Capture]:
    """Return every capture of the store, oldest first; an absent store holds none."""
    found = [
        Capture(path.parent, manifests.load(path.parent))
        for path in store.glob("dt=*/host=*/capture=*/capture.json")
    ]
    return sorted(found, key=lambda capture: (capture.manifest.started_ns, capture.manifest.id))


def find(word: str, store: Path) -> Capture:
    """Return the capture that `word` names: a folder, an id, a name, or `last`.

    A name that several captures bear means the newest. Raises NoSuchCaptureError.
    """
    path = Path(word)
    if (path / manifests.FILE_NAME).is_file():
        return _readable(Capture(path, manifests.load(path)))
    known = captures(store)
    matches = [one for one in known if word in (one.manifest.id, one.manifest.name)]
    if word == "last":
        matches = known
    if matches:
        return _readable(matches[-1])
    names = [name for one in known for name in (one.manifest.id, one.manifest.name) if name]
    hint = nearest(word, [*names, "last"]) or (
        f"the store {store} holds {len(known)} captures: stackledger captures"
        if known
        else f"the store {store} is empty: stackledger capture"
    )
    raise NoSuchCaptureError("no such capture", word, hint=hint)


def _readable(capture: Capture) -> Capture:
    if capture.manifest.schema_version > SCHEMA_VERSION:
        raise StackledgerError(
            "the capture was written by a newer stackledger",
            f"schema {capture.manifest.schema_version}, this one reads {SCHEMA_VERSION}",
            hint="upgrade: pip install -U stackledger",
        )
    return capture


def connect(capture: Capture, *, layers: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Return a connection with the capture's tables and every view of `queries/views`.

    `layers` is a CSV file like `queries/layers.csv`; its rules come first.
    """
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    _facts(connection, capture)
    for table in TABLES.values():
        _table(connection, table.name, capture.files(table.name))
    _layer_rules(connection, layers)
    for path in sorted((resource_folder("queries") / "views").glob("*.sql")):
        connection.execute(path.read_text(encoding="utf-8"))
    return connection


def _table(connection: duckdb.DuckDBPyConnection, name: str, files: list[str]) -> None:
    """Define one table of the registry: a view of its parts, or empty."""
    columns = TABLES[name].columns
    if files:
        # A view cannot take parameters, a variable can: no path is pasted into SQL.
        connection.execute(f"SET VARIABLE files_{name} = $files", {"files": files})
        listed = ", ".join(f'"{column.name}"' for column in columns)
        connection.execute(
            f'CREATE VIEW "{name}" AS SELECT {listed} FROM read_parquet('  # noqa: S608 - registry
            f"getvariable('files_{name}'), hive_partitioning = false, union_by_name = true)"
        )
    else:
        typed = ", ".join(f'"{column.name}" {_SQL_TYPES[column.kind]}' for column in columns)
        connection.execute(f'CREATE TABLE "{name}" ({typed})')
    kind = "VIEW" if files else "TABLE"
    connection.execute(f'COMMENT ON {kind} "{name}" IS {_literal(TABLES[name].grain)}')
    for column in columns:
        text = f"{column.unit} · {column.meaning}" if column.unit else column.meaning
        connection.execute(f'COMMENT ON COLUMN "{name}"."{column.name}" IS {_literal(text)}')


def _literal(text: str) -> str:
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
            told.started_ns,
            told.ended_ns or _last_ts_ns(capture),
            told.machine.cpus,
            told.machine.memory_bytes,
        ],
    )
    connection.execute(
        'CREATE TABLE loss ("table" VARCHAR, produced BIGINT, received BIGINT, lost BIGINT,'
        " undecodable BIGINT)"
    )
    for one in told.losses:
        row = [one.table, one.produced, one.received, one.lost, one.undecodable]
        connection.execute("INSERT INTO loss VALUES ($1, $2, $3, $4, $5)", row)
    connection.execute("CREATE TABLE disk (dev INTEGER, name VARCHAR, size_bytes BIGINT)")
    for disk in told.topology.disks:
        connection.execute(
            "INSERT INTO disk VALUES ($1, $2, $3)", [disk.dev, disk.name, disk.size_bytes]
        )


def _last_ts_ns(capture: Capture) -> int:
    """Return the time of the last part of a capture that was cut off."""
    parts = [Path(file) for table in TABLES for file in capture.files(table)]
    return max((part.stat().st_mtime_ns for part in parts), default=capture.manifest.started_ns)


def _layer_rules(connection: duckdb.DuckDBPyConnection, own: Path | None) -> None:
    connection.execute(
        "CREATE TABLE layer_rule (priority INTEGER, field VARCHAR, pattern VARCHAR, layer VARCHAR)"
    )
    rules = [*(_rules(own) if own else []), *_rules(resource_folder("queries") / "layers.csv")]
    connection.executemany(
        "INSERT INTO layer_rule VALUES ($1, $2, $3, $4)",
        [[number, *rule] for number, rule in enumerate(rules)],
    )


def _rules(path: Path) -> list[tuple[str, str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != ["field", "pattern", "layer"]:
                raise UsageError(
                    "layer rules need the columns field,pattern,layer",
                    path,
                    hint="see queries/layers.csv",
                )
            rows = [(row["field"], row["pattern"], row["layer"]) for row in reader]
    except (OSError, UnicodeDecodeError) as failure:
        raise UsageError("cannot read the layer rules", f"{path}: {failure}") from None
    for number, (field, pattern, layer) in enumerate(rows, start=2):
        if field not in LAYER_FIELDS or not pattern or not layer:
            raise UsageError(
                "layer rule not understood",
                f"{path}:{number}: {field},{pattern},{layer}",
                hint=f"field is one of {', '.join(LAYER_FIELDS)}",
            )
    return rows
