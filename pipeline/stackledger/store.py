"""Opens captures: finds them, and gives a DuckDB connection with every view defined.

Nothing here writes to a capture. The connection is in memory; the capture's
Parquet files are read in place.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import weakref
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger import manifest as manifests
from stackledger import parts, relations, sqlerrors, untrusted, views
from stackledger.diagnostics import warning
from stackledger.errors import NoSuchCaptureError, StackledgerError, UsageError, nearest
from stackledger.layers import rules as layer_rules
from stackledger.manifest import Manifest, OwnTable
from stackledger.reading import Hold, reading
from stackledger.schema import FACTS, TABLES, Column, Table
from stackledger.wakeup import interruptible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import duckdb

KEPT_PREFIX = "linked-"  # folders that analysis.linking keeps beside the parts
_IN_A_DAY = f"host=*/capture=*/{manifests.FILE_NAME}"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_KINDS = ("int64", "bool", "string")
_ALONE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,  # a table's name never means a variable of ours
}


@dataclass(frozen=True, slots=True)
class Capture:
    """One capture on disk: `folder` holds capture.json and a folder per table."""

    folder: Path
    manifest: Manifest
    hold: Hold | None = field(default=None, compare=False)  # its parts stay while this lives

    def files(self, table: str) -> list[str]:
        """Return the finished Parquet parts of a table, oldest first.

        Raises StackledgerError where one, or the table's folder, is a link or no file: in a
        stranger's capture it may lead anywhere.
        """
        dropped = {one.table: one.through for one in self.manifest.dropped}
        found = parts.current(self.folder / table, dropped.get(table, 0))
        return [str(part) for part in found]

    @property
    def tables(self) -> dict[str, Table]:
        """Every table it can have: the registry's, and those of the user's scripts.

        Raises StackledgerError where the manifest names what cannot be one.
        """
        return {**TABLES, **{one.name: self._own_table(one) for one in self.manifest.own_tables}}

    def _own_table(self, told: OwnTable) -> Table:
        names = [told.name, *(column.name for column in told.columns)]
        # They become part of SQL.
        if told.name in TABLES | dict.fromkeys(FACTS) or not all(map(_NAME.fullmatch, names)):
            raise StackledgerError(
                "broken capture.json", f"{self.folder}: a table called {told.name!r}"
            )
        columns = (
            Column(one.name, one.kind if one.kind in _KINDS else "string", one.unit, "as printed")
            for one in told.columns
        )
        return Table(told.name, "one row per row that a script printed", tuple(columns))

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
    def last_ts_ns(self) -> int:
        """The time of its last part: the end of a capture that was cut off."""
        ends = [Path(file).stat().st_mtime_ns for name in self.tables for file in self.files(name)]
        return max(ends, default=self.manifest.started_ns)

    @property
    def size_bytes(self) -> int:
        """What its parts take on disk, as its manifest says or as they are."""
        return self.manifest.size_bytes or parts.size_bytes(self.folder)

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
        stopped = [
            f"{run.name} was stopped after {(run.stopped_ns - told.started_ns) / 1e9:.0f} s"
            for run in told.probes
            if run.stopped_ns
        ]
        return f"{', '.join(stopped)}, to cost no more than was allowed" if stopped else ""


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
    """Return every capture.json of the store."""
    try:
        days = [entry for entry in store.iterdir() if entry.name.startswith("dt=")]
        return [path for day in sorted(days) for path in sorted(day.glob(_IN_A_DAY))]
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise UsageError("the store is not a folder", store) from None
    except OSError as failure:
        raise StackledgerError(
            "cannot read the store",
            f"{store}: {failure.strerror}",
            hint="a capture is its owner's: root's, or whose sudo recorded it",
        ) from None


def find(word: str, store: Path) -> Capture:
    """Return the capture that `word` names: a folder, an id, a name, or `last`.

    A name that several captures bear means the newest. Raises NoSuchCaptureError.
    """
    if word and (Path(word) / manifests.FILE_NAME).is_file():
        return _opened(Path(word))
    if os.sep in word:
        raise NoSuchCaptureError("not a capture: it has no capture.json", word)
    for path in _manifests(store):
        if path.parent.name == f"capture={word}":
            return _opened(path.parent)
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
        return _opened(matches[-1].folder)
    names = [name for one in known for name in (one.manifest.id, one.manifest.name) if name]
    hint = nearest(word, [*names, "last"])
    raise NoSuchCaptureError(
        "no such capture", word, hint=hint or f"stackledger captures lists what {store} holds"
    )


def _opened(folder: Path) -> Capture:
    """Return a capture; what its manifest says and its parts stay together."""
    capture = Capture(folder, manifests.load(folder))
    if not capture.being_written:
        return capture
    with suppress(OSError):
        capture = replace(capture, hold=reading(folder))
    return replace(capture, manifest=manifests.load(folder))


def connect(
    capture: Capture,
    *,
    layers: Path | None = None,
    with_views: bool = True,
    more: Sequence[Path] | None = None,
) -> duckdb.DuckDBPyConnection:
    """Return a connection with the capture's tables, and every view of `queries/views`.

    `layers` is a CSV file like `queries/layers.csv`; its rules come first. It opens the
    capture's parts, the links kept beside them, the files `more`, and nothing else: no
    other file, no network, no extension. Raises StackledgerError where a part cannot be
    read.
    """
    import duckdb

    # What does not fit into memory goes where temporary files belong, not into the
    # current folder, which may be read-only. DuckDB makes it when needed, and removes it.
    spill = Path(tempfile.gettempdir()) / f"stackledger-{secrets.token_hex(8)}"
    connection = duckdb.connect(":memory:", config={"temp_directory": str(spill), **_ALONE})
    interruptible(connection)
    weakref.finalize(connection, lambda _hold: None, capture.hold)
    _configure(connection)
    # Looked for once: of a capture that is being written there are more each second.
    files = {name: capture.files(name) for name in capture.tables}
    shut_in(connection, [*chain(*files.values()), *_links(capture), *(more or ())])
    try:
        relations.define(connection, capture, layer_rules(layers), files)
    except duckdb.Error as failure:
        raise sqlerrors.explain(failure) from None
    if with_views:
        views.define(connection)
    return connection


def beside(connection: duckdb.DuckDBPyConnection, capture: Capture) -> duckdb.DuckDBPyConnection:
    """Return another connection to the same database, for a thread of its own.

    It sees the views, and not the temporary tables.
    """
    other = connection.cursor()
    _configure(other)
    relations.name_files_alike(other, connection, capture)
    return other


def shut_in(connection: duckdb.DuckDBPyConnection, files: Iterable[str | Path]) -> None:
    """Let a connection open these files, and from now on nothing else."""
    connection.execute("SET VARIABLE readable = $1", [[str(file) for file in files]])
    connection.execute("SET allowed_paths = getvariable('readable')")
    connection.execute("RESET VARIABLE readable")
    connection.execute("SET enable_external_access = false")


def _links(capture: Capture) -> list[str]:
    """Return what linking keeps beside a capture's parts."""
    return [
        str(folder / name)
        for folder in capture.folder.glob(f"{KEPT_PREFIX}*")
        for name in untrusted.parts(folder, prefix="")
    ]


def _configure(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")


def broken_part(capture: Capture) -> str | None:
    """Return the first part that cannot be read to its end, None where all can."""
    import duckdb

    with duckdb.connect(":memory:", config=_ALONE) as connection:
        files = [file for table in capture.tables for file in capture.files(table)]
        shut_in(connection, files)
        for file in files:
            try:
                connection.execute("SELECT hash(COLUMNS(*)) FROM read_parquet($1)", [file])
            except duckdb.Error:
                return file
    return None
