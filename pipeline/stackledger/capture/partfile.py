"""One Parquet part: complete under its name, or not there."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import stackledger.capture.quickarrow  # noqa: F401 - saves 0.3 ms on many calls
from stackledger.capture.private import FOLDER, opener
from stackledger.errors import StackledgerError

# Numbers that rarely repeat among so many take a quarter of the time without a
# dictionary: times as differences, all others byte by byte, of which the high ones
# are alike.
_SAMPLE_ROWS = 256


@dataclass(frozen=True, slots=True)
class Written:
    """What a part holds: `from_ns` to `until_ns` are its rows' times, None without `ts_ns`."""

    rows: int
    size_bytes: int
    from_ns: int | None = None
    until_ns: int | None = None


def unwritable(path: Path, failure: OSError) -> StackledgerError:
    """Return the one error line for a store that takes no more."""
    hint = "choose another place with --store DIR, or set STACKLEDGER_STORE"
    if failure.errno in (28, 122):  # ENOSPC, EDQUOT
        hint = "free some space, or " + hint
    return StackledgerError("cannot write to the store", f"{path}: {failure.strerror}", hint=hint)


def write_part(rows: list[pa.Table], path: Path, *, lasting: bool = True) -> Written:
    """Write one part and return what it holds: complete under its name, or not there.

    That holds after a power cut too: a rename may reach the disk before the bytes do, so
    they are waited for. `lasting`: so is its name; else it is replaced soon, and the one
    before it will do.
    """
    whole = in_order(rows) if lasting else pa.concat_tables(rows)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(FOLDER, parents=True, exist_ok=True)
        with open(temporary, "wb", opener=opener) as file:
            pq.write_table(whole, file, store_schema=False, **encoding(whole, lasting=lasting))
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
    return Written(whole.num_rows, size, *times(whole))


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` last."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def encoding(rows: pa.Table, *, lasting: bool) -> dict[str, Any]:
    """Return how rows like these are written, for pyarrow."""
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


def in_order(rows: list[pa.Table]) -> pa.Table:
    """Return the rows as one table, in the order of their time."""
    whole = pa.concat_tables(rows).unify_dictionaries().combine_chunks()
    if "ts_ns" not in whole.column_names:  # as a script's own table may be
        return whole
    ts = whole.column("ts_ns")
    if pc.all(pc.less_equal(ts.slice(0, len(ts) - 1), ts.slice(1))).as_py():
        return whole
    return whole.take(pc.sort_indices(whole, sort_keys=[("ts_ns", "ascending")]))


def times(rows: pa.Table) -> tuple[int | None, int | None]:
    """Return the first and the last time of rows, None where they have none."""
    if "ts_ns" not in rows.column_names:
        return None, None
    bounds = pc.min_max(rows.column("ts_ns")).as_py()
    return bounds["min"], bounds["max"]


def _rarely_repeats(name: str, rows: pa.Table) -> bool:
    column = rows.column(name)
    if not pa.types.is_integer(column.type):
        return False
    sample = column.slice(0, _SAMPLE_ROWS)
    return bool(pc.count_distinct(sample).as_py() > _SAMPLE_ROWS // 2)
