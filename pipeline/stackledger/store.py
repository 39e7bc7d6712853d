"""Opens captures: finds them, and gives a DuckDB connection with every view defined.

Nothing here writes to a capture. The connection is in memory; the capture's
Parquet files are read in place.
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger import manifest as manifests
from stackledger import sqlerrors
from stackledger.diagnostics import warning
from stackledger.errors import NoSuchCaptureError, StackledgerError, UsageError, nearest
from stackledger.layers import rules as layer_rules
from stackledger.manifest import Manifest
from stackledger.resources import folder as resource_folder
from stackledger.schema import TABLES

if TYPE_CHECKING:
    import duckdb

STORE_VARIABLE = "STACKLEDGER_STORE"
_COMMENT = re.compile(r"^COMMENT ON .*?';\n", re.MULTILINE | re.DOTALL)

_SQL_TYPES = {
    "int64": "BIGINT",
    "int32": "INTEGER",
    "int16": "SMALLINT",
    "bool": "BOOLEAN",
    "string": "VARCHAR",
    "binary": "BLOB",
}


@dataclass(frozen=True, slots=True)
class Capture:
    """One capture on disk: `folder` holds capture.json and a folder per table."""

    folder: Path
    manifest: Manifest

    def files(self, table: str) -> list[str]:
        """Return the finished Parquet parts of a table, oldest first."""
        return sorted(str(part) for part in (self.folder / table).glob("part-*.parquet"))

    @property
    def being_written(self) -> bool:
        """True while the program that records it is alive, on this host."""
        told = self.manifest
        if told.state != "recording" or not told.writer_pid or not told.clock:
            return False
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            stat = Path(f"/proc/{told.writer_pid}/stat").read_bytes()
        except OSError:
            return False
        # A process's number is given out again: its start tells the two apart.
        start_ticks = int(stat[stat.rindex(b")") :].split()[20])
        started_ns = start_ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
        return boot == told.boot_id and started_ns <= told.clock[0].boottime_ns

    @property
    def condition(self) -> str:
        """What there is to say about a capture that is not whole, empty where it is."""
        told = self.manifest
        if self.being_written:
            return "it is still being written: these are the rows so far"
        if told.state == "recording":
            return "its recording was cut off: what was written until then is whole"
        if told.state == "failed":
            return f"its recording failed: {told.error or 'no reason is known'}"
        return ""


def default_store() -> Path:
    """Return `$STACKLEDGER_STORE`, else the platform's data folder."""
    if given := os.environ.get(STORE_VARIABLE):
        return Path(given)
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "stackledger"


def captures(store: Path) -> list[Capture]:
    """Return every capture of the store, oldest first; an absent store holds none.

    One that cannot be read is left out, and said: it must not hide the others.
    """
    found = []
    for path in _manifests(store):
        try:
            found.append(Capture(path.parent, manifests.load(path.parent)))
        except StackledgerError as failure:
            warning(f"left out: {failure}")
    return sorted(found, key=lambda capture: (capture.manifest.started_ns, capture.manifest.id))


def _manifests(store: Path) -> list[Path]:
    try:
        entries = list(store.iterdir())
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise UsageError("the store is not a folder", store) from None
    except OSError as failure:
        hint = "captures made as root are root's: sudo, or chmod a+rX"
        raise StackledgerError(
            "cannot read the store", f"{store}: {failure.strerror}", hint=hint
        ) from None
    days = sorted(path for path in entries if path.name.startswith("dt="))
    return [path for day in days for path in sorted(day.glob("host=*/capture=*/capture.json"))]


def find(word: str, store: Path) -> Capture:
    """Return the capture that `word` names: a folder, an id, a name, or `last`.

    A name that several captures bear means the newest. Raises NoSuchCaptureError.
    """
    for folder in (Path(word), *store.glob(f"dt=*/host=*/capture={glob.escape(word)}")):
        # Neither an empty word nor a word of the store's own may mean ".".
        if word and (folder / manifests.FILE_NAME).is_file():
            return Capture(folder, manifests.load(folder))
    known = captures(store)
    if not known:
        raise NoSuchCaptureError(
            "the store holds no capture",
            store,
            hint="sudo stackledger capture records one; --store DIR names another store",
        )
    matches = [one for one in known if word in (one.manifest.id, one.manifest.name)]
    if word == "last":
        matches = known
    if matches:
        return matches[-1]
    names = [name for one in known for name in (one.manifest.id, one.manifest.name) if name]
    hint = nearest(word, [*names, "last"])
    raise NoSuchCaptureError(
        "no such capture", word, hint=hint or f"stackledger captures lists what {store} holds"
    )


def connect(
    capture: Capture, *, layers: Path | None = None, views: bool = True
) -> duckdb.DuckDBPyConnection:
    """Return a connection with the capture's tables, and every view of `queries/views`.

    `layers` is a CSV file like `queries/layers.csv`; its rules come first.
    """
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    _facts(connection, capture)
    for table in TABLES.values():
        try:
            _table(connection, table.name, capture.files(table.name))
        except duckdb.Error as failure:
            raise sqlerrors.explain(failure) from None
    _layer_rules(connection, layers)
    if views:
        for text in view_texts():
            connection.execute(text)
    return connection


def view_texts(*, documented: bool = False) -> list[str]:
    """Return the definitions of all views, in the order of their needs.

    Comments on columns are left out unless `documented`: each takes a statement.
    """
    files = sorted((resource_folder("queries") / "views").glob("*.sql"))
    texts = [file.read_text(encoding="utf-8") for file in files]
    return texts if documented else [_COMMENT.sub("", text) for text in texts]


def document(connection: duckdb.DuckDBPyConnection) -> None:
    """Give every table, view and column of a connection its comment."""
    for text in view_texts(documented=True):
        for comment in _COMMENT.findall(text):
            connection.execute(comment)
    views = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    for table in TABLES.values():
        kind = "VIEW" if (table.name,) in views else "TABLE"
        connection.execute(f'COMMENT ON {kind} "{table.name}" IS {_literal(table.grain)}')
        for column in table.columns:
            text = f"{column.unit} · {column.meaning}" if column.unit else column.meaning
            name = f'"{table.name}"."{column.name}"'
            connection.execute(f"COMMENT ON COLUMN {name} IS {_literal(text)}")


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
    connection.executemany(
        "INSERT INTO layer_rule VALUES ($1, $2, $3, $4)",
        [[number, *rule] for number, rule in enumerate(layer_rules(own))],
    )
