"""Merges small parts of a table into a larger one, so that a day is hundreds of files.

As many parts as the fan-in become one of the next tier: of seconds a minute, of minutes an
hour. One that is large already is left as it is, so that no row is written often.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stackledger.capture.inventory import Part
from stackledger.capture.partfile import Written, encoding, in_order, sync_folder
from stackledger.capture.private import opener
from stackledger.parts import file_name

MOST_ROWS = 1 << 20
MOST_BYTES = 64 << 20
# A time range reads the groups that hold it. One group more waits for rows that came late,
# which bounds the memory that a merge takes.
GROUP_ROWS = 64 << 10
# So few parts are worth a merge at the end of a recording.
_AT_THE_END = 8


def choose(parts: Sequence[Part], fan_in: int, most_bytes: int, *, ending: bool) -> list[Part]:
    """Return the oldest parts that are to become one, none where there are too few.

    `ending`: no others will come, so that their tiers do not matter.
    """
    enough = min(fan_in, _AT_THE_END) if ending else fan_in
    for run, full in _runs(parts, most_bytes, tiers=not ending):
        if len(run) > 1 and (full or len(run) >= enough):
            return run if ending else run[:fan_in]
    return []


def _runs(
    parts: Sequence[Part], most_bytes: int, *, tiers: bool
) -> Iterator[tuple[list[Part], bool]]:
    """Yield neighbours that fit into one part, and whether the next one is too much for it."""
    run: list[Part] = []
    rows = size = 0
    for part in parts:
        large = part.held.rows * 2 > MOST_ROWS or part.held.size_bytes * 2 > most_bytes
        rows, size = rows + part.held.rows, size + part.held.size_bytes
        full = not large and (rows > MOST_ROWS or size > most_bytes)
        if large or full or (run and tiers and part.tier != run[0].tier):
            yield run, full
            run, rows, size = [], part.held.rows, part.held.size_bytes
        if large:
            rows = size = 0
        else:
            run.append(part)
    yield run, False


def merge(folder: Path, run: Sequence[Part]) -> Part:
    """Write the rows of neighbouring parts of a table into one, and return it.

    It has its name only when it will last; what it was made from is left to the caller.
    Raises OSError or pyarrow's errors where a part cannot be read or the new one not be
    written.
    """
    table, first, last = run[0].table, run[0].first, run[-1].last
    target = folder / table / file_name(first, last)
    temporary = target.with_name(f".{target.name}.tmp")
    sources = [target.with_name(file_name(part.first, part.last)) for part in run]
    try:
        with open(temporary, "wb", opener=opener) as file:
            rows = _write(_in_groups(_batches(sources)), file)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        if rows != sum(part.held.rows for part in run):
            raise pa.ArrowInvalid(f"{rows} rows found in the parts of {target}")
        temporary.rename(target)
        sync_folder(target.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    starts = [part.held.from_ns for part in run if part.held.from_ns is not None]
    ends = [part.held.until_ns for part in run if part.held.until_ns is not None]
    held = Written(rows, size, min(starts, default=None), max(ends, default=None))
    return Part(table, first, last, held, 1 + max(part.tier for part in run))


def _batches(sources: Sequence[Path]) -> Iterator[pa.Table]:
    for path in sources:
        with pq.ParquetFile(path) as file:
            texts = [one.name for one in file.schema_arrow if pa.types.is_string(one.type)]
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            for batch in file.iter_batches(GROUP_ROWS, use_threads=False):
                yield pa.Table.from_batches([batch])


def _in_groups(batches: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows in the order of their time, as far as two groups tell it."""
    waiting: list[pa.Table] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= 2 * GROUP_ROWS:
            whole = in_order(waiting)
            yield whole.slice(0, GROUP_ROWS)
            waiting, rows = [whole.slice(GROUP_ROWS)], rows - GROUP_ROWS
    yield in_order(waiting)


def _write(groups: Iterator[pa.Table], file: object) -> int:
    rows = 0
    first = next(groups)
    how = encoding(first, lasting=True)
    with pq.ParquetWriter(file, first.schema, store_schema=False, **how) as writer:
        for group in chain((first,), groups):
            writer.write_table(group, row_group_size=GROUP_ROWS)
            rows += group.num_rows
    return rows
