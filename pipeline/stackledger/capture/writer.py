"""Arrow tables into small, sorted Parquet parts that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from stackledger.capture.growing import GrowingParts
from stackledger.capture.inventory import Part
from stackledger.capture.partfile import Written, write_part
from stackledger.capture.upkeep import Pace, Upkeep
from stackledger.manifest import Manifest
from stackledger.parts import file_name
from stackledger.schema import TABLES

PART_ROWS = 64 << 10
_WAITING_PARTS = 16
_ARROW = {
    "int64": pa.int64(),
    "int32": pa.int32(),
    "int16": pa.int16(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "binary": pa.binary(),
}


def arrow_schema(table: str) -> pa.Schema:
    """Return a registered table's Arrow schema."""
    return pa.schema([(column.name, _ARROW[column.kind]) for column in TABLES[table].columns])


def to_epoch(rows: pa.Table, offset_ns: int) -> pa.Table:
    """Return `rows` with every clock reading moved from the boot clock to the epoch.

    One offset for the whole capture: columns that name a request by its time have
    to stay equal. 0 means "never" and stays 0.
    """
    never, offset = pa.scalar(0, pa.int64()), pa.scalar(offset_ns, pa.int64())
    for index, name in enumerate(rows.column_names):
        if name == "ts_ns" or name.endswith("_ts_ns"):
            column = rows.column(index)
            moved = pc.if_else(pc.equal(column, never), column, pc.add(column, offset))
            rows = rows.set_column(index, name, moved)
    return rows


class PartWriter:
    """Collects rows per table and writes them out in the background, part by part."""

    def __init__(
        self,
        folder: Path,
        pace: Pace = Pace(),  # noqa: B008 - frozen
        manifest: Manifest | None = None,
    ) -> None:
        """Write below `folder`; what is dropped is noted in the `manifest`, and that is saved."""
        self._folder = folder
        self._pending: dict[str, list[pa.Table]] = {}
        self._rows: dict[str, int] = {}
        self._parts: dict[str, int] = {}
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer")
        # Python waits forever for a thread whose first steps find no memory (until 3.13):
        # it starts now, not in the first second of a recording.
        self._pool.submit(int).result()
        self._written: list[tuple[str, int, Future[Written]]] = []
        self._upkeep = Upkeep(folder, pace, self._pool.submit, manifest)
        self._growing = GrowingParts(folder, self._submit, self._lasts)
        self.total: dict[str, int] = {}

    @property
    def bytes(self) -> int:
        """What the parts take on disk."""
        return self._upkeep.inventory.size_bytes + self._growing.bytes

    def add(self, table: str, rows: pa.Table) -> None:
        """Take rows in the registry's columns; a full part is written at once."""
        if not rows.num_rows:
            return
        self._pending.setdefault(table, []).append(rows)
        self._rows[table] = self._rows.get(table, 0) + rows.num_rows
        self.total[table] = self.total.get(table, 0) + rows.num_rows
        if self._rows[table] >= PART_ROWS:
            self._cut(table)

    def grow(self, table: str, rows: pa.Table) -> None:
        """Take rows of a table that grows slowly: its newest part is written again and again."""
        if rows.num_rows:
            self._growing.add(table, rows)
            self.total[table] = self.total.get(table, 0) + rows.num_rows

    def flush(self) -> None:
        """Write what is pending; raises StackledgerError if an earlier part failed."""
        self._growing.flush()
        for table in list(self._pending):
            self._cut(table)
        self._collect(wait=len(self._written) > _WAITING_PARTS)
        self._upkeep.tick(self._growing.bytes)

    def close(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Write what is pending and wait until it is on disk.

        A long recording's parts are merged once more, for seconds, until there is a `hurry`.
        """
        try:
            self._growing.close()
            self.flush()
            self._collect(wait=True)
            self._growing.wait()
            self._upkeep.close(hurry)
        finally:
            self._upkeep.abort()
            self._pool.shutdown(wait=True)

    def have(self, act: Callable[[], None]) -> None:
        """Have the writing thread, which has begun, do something to itself."""
        self._pool.submit(act).result()

    def abort(self) -> None:
        """Forget what is pending; a part that is being written is finished."""
        self._pending.clear()
        self._growing.abort()
        self._upkeep.abort()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _cut(self, table: str) -> None:
        rows = self._pending.pop(table)
        self._rows[table] = 0
        number = self._parts.get(table, 0) + 1
        self._parts[table] = number
        path = self._folder / table / file_name(number, number)
        self._written.append((table, number, self._submit(rows, path, True)))

    def _submit(self, rows: list[pa.Table], path: Path, lasting: bool) -> Future[Written]:
        return self._pool.submit(write_part, rows, path, lasting=lasting)

    def _lasts(self, table: str, number: int, held: Written) -> None:
        self._upkeep.inventory.add(Part(table, number, number, held))

    def _collect(self, *, wait: bool) -> None:
        left = []
        for table, number, written in self._written:
            if wait or written.done():
                self._lasts(table, number, written.result())
            else:
                left.append((table, number, written))
        self._written = left
