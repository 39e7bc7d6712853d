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
        heads = [shown.heading(name) for name in self._columns]
        cells = [
            [_cell(name, value) for name, value in zip(self._columns, row, strict=True)]
            for row in rows
        ]
        if first:
            self._widths = _widths(self._columns, heads, cells)
        right = [
            all(shown.is_number(row[at]) or row[at] is None for row in rows)
            for at in range(len(heads))
        ]
        if not self.event:
            print(("" if first else "\n") + timestamp(at_ns)[11:19])
        if first or not self.event:
            print(_line(heads, self._widths, right))
        for line in cells:
            print(_line(line, self._widths, right))


def _widths(columns: list[str], heads: list[str], cells: list[list[str]]) -> list[int]:
    """Return a width for each column: what the first rows need, as far as the screen goes."""
    widths = []
    for at, name in enumerate(columns):
        usual = next((width for end, width in _USUAL.items() if name.endswith(end)), 0)
        needed = max((cell_len(line[at]) for line in cells), default=0)
        widths.append(max(cell_len(heads[at]), usual, needed))
    room = shutil.get_terminal_size().columns - (len(columns) - 1)
    while sum(widths) > room and max(widths[1:], default=0) > _NARROWEST:
        # The widest gives way; what is cut ends with a sign of it.
        widest = max(range(1, len(widths)), key=widths.__getitem__)
        widths[widest] -= 1
    return widths


def _line(cells: list[str], widths: list[int], right: list[bool]) -> str:
    words = []
    for word, width, to_the_right in zip(cells, widths, right, strict=True):
        if cell_len(word) > width:
            # A number is never cut: the line gets longer.
            words.append(word if to_the_right else f"{set_cell_size(word, width - 1)}…")
        else:
            space = " " * (width - cell_len(word))
            words.append(space + word if to_the_right else word + space)
    return " ".join(words).rstrip()


def _cell(column: str, value: Any) -> str:
    if column.endswith("ts_ns") and isinstance(value, int):
        return timestamp(value)[11:]
    return shown.cell(column, value)
