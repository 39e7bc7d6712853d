"""Parts that are written again while they grow: few files, and a kill costs four seconds.

The host's counters are a few rows a second for each of a dozen tables. A part
for each second would make tens of thousands of files an hour, one a minute would
lose a minute. So the newest part of each table is replaced, whole, every four
seconds until it is long enough: every two took a tenth of a capture's own CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from stackledger.capture.partfile import Written
from stackledger.parts import file_name

_WRITE_EVERY = 4
# Seconds (calls) and rows after which a part is finished.
_LONGEST = 60
_MOST_ROWS = 4 << 10

Submit = Callable[[list[pa.Table], Path, bool], "Future[Written]"]
Lasts = Callable[[str, int, Written], None]


@dataclass(slots=True)
class _Part:
    """The newest part of one table."""

    number: int = 1
    rows: list[pa.Table] = field(default_factory=list)
    age: int = 0
    fresh: bool = False  # holds rows that are not written yet


class GrowingParts:
    """The newest parts of the tables that grow slowly; `submit` writes in the background.

    `lasts` is told of each part that is finished.
    """

    def __init__(self, folder: Path, submit: Submit, lasts: Lasts) -> None:
        self._folder = folder
        self._submit = submit
        self._lasts = lasts
        self._parts: dict[str, _Part] = {}
        self._writing: dict[Path, Future[Written]] = {}
        self._finished: dict[Path, tuple[str, int]] = {}
        self._sizes: dict[Path, int] = {}
        self._calls = 0

    @property
    def bytes(self) -> int:
        """What the parts that are not finished take on disk."""
        return sum(self._sizes.values())

    def add(self, table: str, rows: pa.Table) -> None:
        """Take rows in the registry's columns."""
        part = self._parts.setdefault(table, _Part())
        part.rows.append(rows)
        part.fresh = True

    def flush(self) -> None:
        """To be called every second: writes every fourth time. Raises what a writing raised."""
        self._calls += 1
        self._collect()
        for table, part in self._parts.items():
            part.age += 1
            rows = sum(batch.num_rows for batch in part.rows)
            if part.rows and (part.age >= _LONGEST or rows >= _MOST_ROWS):
                self._finish(table, part)
            elif part.fresh and self._calls % _WRITE_EVERY == 0:
                path = self._path(table, part)
                # Where the disk is slow the next time writes all of it.
                if path not in self._writing:
                    part.rows = [pa.concat_tables(part.rows).combine_chunks()]
                    self._writing[path] = self._submit(list(part.rows), path, False)
                    part.fresh = False

    def close(self) -> None:
        """Write what is not written yet; the pool's end is its end."""
        for table, part in self._parts.items():
            if part.rows:
                self._finish(table, part)

    def wait(self) -> None:
        """Wait until all is on disk. Raises what a writing raised."""
        for path, writing in list(self._writing.items()):
            self._take(path, writing.result())

    def abort(self) -> None:
        """Forget what is not written."""
        self._parts.clear()

    def _finish(self, table: str, part: _Part) -> None:
        # After an earlier writing of the same part, for one thread writes all.
        path = self._path(table, part)
        self._writing[path] = self._submit(part.rows, path, True)
        self._finished[path] = table, part.number
        part.number, part.rows, part.age, part.fresh = part.number + 1, [], 0, False

    def _collect(self) -> None:
        for path, writing in list(self._writing.items()):
            if writing.done():
                self._take(path, writing.result())

    def _take(self, path: Path, held: Written) -> None:
        del self._writing[path]
        if path in self._finished:
            self._sizes.pop(path, None)
            self._lasts(*self._finished.pop(path), held)
        else:
            self._sizes[path] = held.size_bytes

    def _path(self, table: str, part: _Part) -> Path:
        return self._folder / table / file_name(part.number, part.number)
