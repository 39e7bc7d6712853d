"""Rows as they come: columns that keep their width, lines that a pipe gets at once."""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size

from stackledger.report import rows as shown
from stackledger.report.format import timestamp

_NARROWEST = 6
# What a column needs in general, by the end of its name.
_USUAL = {"ts_ns": 12, "_ns": 7, "bytes": 8, "share": 7, "comm": 12, "pid": 7, "_hz": 7}


class LiveTable:
    """Prints batches of rows: as a table with columns of fixed width, CSV, or JSON lines.

    `event`: the rows are events, one line each below one heading; else each batch is
    a state, with a heading of its own.
    """

    def __init__(self, form: str, *, limit: int | None = None) -> None:
        self._form, self._limit = form, limit
        self._columns: list[str] = []
        self._widths: list[int] = []
        self.event = False

    def write(self, columns: list[str], rows: Sequence[Sequence[Any]], at_ns: int) -> None:
        """Print a batch; `at_ns` is the instant that a state is of."""
        first = not self._columns
        self._columns, self.event = columns, columns[:1] == ["ts_ns"]
        rows = rows[: self._limit] if self._limit and not self.event else rows
        if self._form == "table":
            self._table(rows, at_ns, first=first)
        else:
            timed = columns if self.event else ["ts_ns", *columns]
            rows = rows if self.event else [(at_ns, *row) for row in rows]
            if self._form == "csv":
                writer = csv.writer(sys.stdout, lineterminator="\n")
                writer.writerows([timed] if first else [])
                writer.writerows([[shown.plain(value) for value in row] for row in rows])
            else:
                shown.write(timed, rows, "jsonl")
        sys.stdout.flush()

    def _table(self, rows: Sequence[Sequence[Any]], at_ns: int, *, first: bool) -> None:
        columns = self._columns
        if not self.event:
            columns, rows = _telling(columns, rows)
        heads = [shown.heading(name) for name in columns]
        cells = [
            [_cell(name, value) for name, value in zip(columns, row, strict=True)] for row in rows
        ]
        if first or not self.event:
            self._widths = _widths(columns, cells)
        right = [
            all(shown.is_number(row[at]) or row[at] is None for row in rows)
            for at in range(len(heads))
        ]
        if not self.event:
            print(("" if first else "\n") + timestamp(at_ns)[11:19])
        if first or not self.event:
            print(_line(heads, self._widths, right, whole=False))
        for line in cells:
            print(_line(line, self._widths, right))


def _telling(
    columns: list[str], rows: Sequence[Sequence[Any]]
) -> tuple[list[str], Sequence[Sequence[Any]]]:
    """Return the columns that are not 0, NULL or empty in every row, where not all have room."""
    if sum(_needed(name) for name in columns) + len(columns) - 1 <= _room():
        return columns, rows
    kept = [
        at for at in range(len(columns)) if any(row[at] not in (None, 0, "", False) for row in rows)
    ]
    return [columns[at] for at in kept], [[row[at] for at in kept] for row in rows]


def _room() -> int:
    return shutil.get_terminal_size().columns


def _needed(column: str) -> int:
    usual = next((width for end, width in _USUAL.items() if column.endswith(end)), 0)
    return max(usual, cell_len(shown.heading(column)))


def _widths(columns: list[str], cells: list[list[str]]) -> list[int]:
    """Return a width for each column: what the first rows need, as far as the screen goes."""
    widths = []
    for at, name in enumerate(columns):
        longest = max((cell_len(line[at]) for line in cells), default=0)
        widths.append(max(_needed(name), longest))
    room = _room() - (len(columns) - 1)
    yielding = [at for at, name in enumerate(columns) if not name.endswith("ts_ns")]
    while sum(widths) > room and yielding:
        # The widest gives way; what is cut ends with a sign of it.
        widest = max(yielding, key=widths.__getitem__)
        if widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
    return widths


def _line(cells: list[str], widths: list[int], right: list[bool], *, whole: bool = True) -> str:
    """Return one line; a number is never cut where `whole`, rather the line gets longer."""
    words = []
    for word, width, to_the_right in zip(cells, widths, right, strict=True):
        if cell_len(word) > width:
            words.append(word if to_the_right and whole else _cut(word, width))
        else:
            space = " " * (width - cell_len(word))
            words.append(space + word if to_the_right else word + space)
    return " ".join(words).rstrip()


def _cut(word: str, width: int) -> str:
    """Return a text that fits, with a sign where it was cut: a path keeps its end."""
    if word.startswith("/"):
        return f"…{set_cell_size(word[::-1], width - 1)[::-1]}"
    return f"{set_cell_size(word, width - 1)}…"


def _cell(column: str, value: Any) -> str:
    if column.endswith("ts_ns") and isinstance(value, int):
        return timestamp(value)[11:]
    return shown.cell(column, value)
