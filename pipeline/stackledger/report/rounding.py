"""Rounds a table so that what is shown still adds up, along rows and columns.

Each number goes to one of its two neighbours on the grid, never further, and so
does every total: controlled rounding after Cox (1987, A constructive procedure
for unbiased controlled rounding, JASA 82), without the random choice.
"""

from __future__ import annotations

from collections.abc import Sequence

_Place = tuple[int, int]


def controlled(table: Sequence[Sequence[int]], grain: int) -> list[list[int]]:
    """Return the table in whole grains: every cell, row and column floored or ceiled.

    Cells are whole numbers >= 0, e.g. nanoseconds; `grain` is the unit shown,
    e.g. 100_000 for tenths of a millisecond. A cell of 0 stays 0.
    """
    if not table:
        return []
    rest = _with_margins([[cell % grain for cell in row] for row in table], grain)
    while cycle := _cycle(rest, grain):
        _shift(rest, cycle, grain)
    return [
        [cell // grain + rest[i][j] // grain for j, cell in enumerate(row)]
        for i, row in enumerate(table)
    ]


def _with_margins(rest: list[list[int]], grain: int) -> list[list[int]]:
    """Append a row and a column that fill every row and column up to whole grains."""
    rows = [[*row, -sum(row) % grain] for row in rest]
    return [*rows, [-sum(column) % grain for column in zip(*rows, strict=True)]]


def _cycle(rest: list[list[int]], grain: int) -> list[_Place]:
    """Return places between the grid lines, each sharing a row, then a column, with the next.

    A row or column sums to whole grains, so it never has just one such place,
    and a walk that takes turns comes back to where it was.
    """
    open_places = [
        (i, j) for i, row in enumerate(rest) for j, cell in enumerate(row) if 0 < cell < grain
    ]
    if not open_places:
        return []
    # Rows and columns are the corners of the walk, places the steps between them.
    walk = [open_places[0]]
    seen = {(1, walk[0][1]): 0}
    while True:
        axis = (len(walk) + 1) % 2  # 0: the row of the last place, 1: its column
        here = walk[-1]
        corner = (axis, here[axis])
        if corner in seen:
            return walk[seen[corner] :]
        seen[corner] = len(walk)
        walk.append(next(p for p in open_places if p != here and p[axis] == here[axis]))


def _shift(rest: list[list[int]], cycle: list[_Place], grain: int) -> None:
    """Move what is least around the cycle, so that one place reaches the grid."""
    up, down = cycle[0::2], cycle[1::2]
    rise = min(*(grain - rest[i][j] for i, j in up), *(rest[i][j] for i, j in down), grain)
    fall = min(*(rest[i][j] for i, j in up), *(grain - rest[i][j] for i, j in down), grain)
    step = rise if rise <= fall else -fall
    for i, j in up:
        rest[i][j] += step
    for i, j in down:
        rest[i][j] -= step
