"""Arrow tables into small, sorted Parquet parts that appear whole or not at all."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import stackledger.capture.quickarrow  # noqa: F401 - saves 0.3 ms on many calls
from stackledger.capture.growing import GrowingParts
from stackledger.capture.private import FOLDER, opener
from stackledger.errors import StackledgerError
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
# Numbers that rarely repeat among so many take a quarter of the time without a
# dictionary: times as differences, all others byte by byte, of which the high ones
# are alike.
_SAMPLE_ROWS = 256


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


def unwritable(path: Path, failure: OSError) -> StackledgerError:
    """Return the one error line for a store that takes no more."""
    hint = "choose another place with --store DIR, or set STACKLEDGER_STORE"
    if failure.errno in (28, 122):  # ENOSPC, EDQUOT
        hint = "free some space, or " + hint
    return StackledgerError("cannot write to the store", f"{path}: {failure.strerror}", hint=hint)


class PartWriter:
    """Collects rows per table and writes them out in the background, part by part."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pending: dict[str, list[pa.Table]] = {}
        self._rows: dict[str, int] = {}
        self._parts: dict[str, int] = {}
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer")
        # Python waits forever for a thread whose first steps find no memory (until 3.13):
        # it starts now, not in the first second of a recording.
        self._pool.submit(int).result()
        self._written: list[Future[int]] = []
        self._growing = GrowingParts(folder, self._submit)
        self._bytes = 0
        self.total: dict[str, int] = {}

    @property
    def bytes(self) -> int:
        """What was written so far."""
        return self._bytes + self._growing.bytes

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

    def close(self) -> None:
        """Write what is pending and wait until it is on disk."""
        try:
            self._growing.close()
            self.flush()
            self._collect(wait=True)
            self._growing.wait()
        finally:
            self._pool.shutdown(wait=True)

    def abort(self) -> None:
        """Forget what is pending; a part that is being written is finished."""
        self._pending.clear()
        self._growing.abort()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _cut(self, table: str) -> None:
        rows = self._pending.pop(table)
        self._rows[table] = 0
        number = self._parts.get(table, 0) + 1
        self._parts[table] = number
        path = self._folder / table / f"part-{number:06d}.parquet"
        self._written.append(self._submit(rows, path, True))

    def _submit(self, rows: list[pa.Table], path: Path, lasting: bool) -> Future[int]:
        return self._pool.submit(write_part, rows, path, lasting=lasting)

    def _collect(self, *, wait: bool) -> None:
        left = []
        for written in self._written:
            if wait or written.done():
                self._bytes += written.result()
            else:
                left.append(written)
        self._written = left


def write_part(rows: list[pa.Table], path: Path, *, lasting: bool = True) -> int:
    """Write one part and return its size in bytes: complete under its name, or not there.

    That holds after a power cut too: a rename may reach the disk before the bytes do, so
    they are waited for. `lasting`: so is its name; else it is replaced soon, and the one
    before it will do.
    """
    whole = _in_order(rows) if lasting else pa.concat_tables(rows)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(FOLDER, parents=True, exist_ok=True)
        with open(temporary, "wb", opener=opener) as file:
            pq.write_table(whole, file, store_schema=False, **_encoding(whole, lasting=lasting))
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        temporary.rename(path)
        if lasting:
            sync_folder(path.parent)
    except OSError as failure:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise unwritable(path.parent, failure) from None
    return size


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` last."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _encoding(rows: pa.Table, *, lasting: bool) -> dict[str, Any]:
    if not lasting:
        return {"compression": "none", "use_dictionary": False, "write_statistics": False}
    repeating = [name for name in rows.column_names if not _rarely_repeats(name, rows)]
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": repeating,
        # Bounds help where a time range is asked for; of the rest they cost a sixth.
        "write_statistics": [name for name in rows.column_names if name.endswith("ts_ns")],
        "column_encoding": {
            name: "DELTA_BINARY_PACKED" if name.endswith("ts_ns") else "BYTE_STREAM_SPLIT"
            for name in rows.column_names
            if name not in repeating and pa.types.is_integer(rows.schema.field(name).type)
        },
    }


def _in_order(rows: list[pa.Table]) -> pa.Table:
    """Return the rows as one table, in the order of their time."""
    whole = pa.concat_tables(rows).unify_dictionaries().combine_chunks()
    if "ts_ns" not in whole.column_names:  # as a script's own table may be
        return whole
    times = whole.column("ts_ns")
    if pc.all(pc.less_equal(times.slice(0, len(times) - 1), times.slice(1))).as_py():
        return whole
    return whole.take(pc.sort_indices(whole, sort_keys=[("ts_ns", "ascending")]))


def _rarely_repeats(name: str, rows: pa.Table) -> bool:
    column = rows.column(name)
    if not pa.types.is_integer(column.type):
        return False
    sample = column.slice(0, _SAMPLE_ROWS)
    return bool(pc.count_distinct(sample).as_py() > _SAMPLE_ROWS // 2)
