"""Lays out who calls whom: a box per service, column by column from the clients on.

Positions are pixels of a drawing that is not stretched; texts are drawn by the template.
The same edges are a table below it, which also has those that found no place here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.report.format import count, duration
from stackledger.report.shown import text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stackledger.report.requestdata import ServiceRow, ServiceTime

_BOXES = 24
_WIDTH, _HEIGHT = 138, 60
_ACROSS, _DOWN = 92, 26
_MARGIN = 6
_NAME = 15
CLIENTS = "(clients)"


@dataclass(frozen=True, slots=True)
class Box:
    """One service; `x` and `y` are its upper left corner, `lines` what stands below its name."""

    x: int
    y: int
    name: str
    full_name: str
    lines: list[str]
    traced: bool


@dataclass(frozen=True, slots=True)
class Arrow:
    """One caller and callee: an SVG path, and its labels above and below (`x`, `y`)."""

    path: str
    width: float
    x: int
    y: int
    calls: str
    mean: str
    failing: bool


@dataclass(frozen=True, slots=True)
class ServiceMap:
    """The drawing and its size; `left_out` edges are only in the table."""

    width: int
    height: int
    box_width: int
    box_height: int
    boxes: list[Box]
    arrows: list[Arrow]
    label: str
    left_out: int


def service_map(edges: Sequence[ServiceRow], times: Mapping[str, ServiceTime]) -> ServiceMap | None:
    """Return the map of the busiest services; None where nobody called anybody."""
    if not edges:
        return None
    depth = _depths(edges)
    kept = list(depth)[:_BOXES]
    place = _places({name: depth[name] for name in kept})
    drawn = [one for one in edges if (one.caller or CLIENTS) in place and one.callee in place]
    most = max((one.calls for one in drawn), default=1)
    lowest = max(y for _, y in place.values()) + _HEIGHT
    arrows = [_arrow(one, place, most, lowest) for one in drawn]
    turning = any(place[one.caller or CLIENTS][0] >= place[one.callee][0] for one in drawn)
    untraced = {one.callee for one in edges if not one.traced}
    return ServiceMap(
        width=max(x for x, _ in place.values()) + _WIDTH + _MARGIN,
        height=lowest + _MARGIN + (_HEIGHT if turning else 0),
        box_width=_WIDTH,
        box_height=_HEIGHT,
        boxes=[_box(name, place[name], times.get(name), name not in untraced) for name in kept],
        arrows=arrows,
        label=f"service map: {count(len(kept))} boxes, {count(len(drawn))} arrows;"
        " the table below says the same",
        left_out=len(edges) - len(drawn),
    )


def _depths(edges: Sequence[ServiceRow]) -> dict[str, int]:
    """Return the calls between the clients and each service, the nearest and busiest first."""
    depth = {CLIENTS: 0} if any(one.caller is None for one in edges) else {}
    if not depth:
        depth[str(edges[0].caller)] = 0
    reached = list(depth)
    while True:
        for caller in reached:
            for one in edges:
                if (one.caller or CLIENTS) == caller and one.callee not in depth:
                    depth[one.callee] = depth[caller] + 1
                    reached.append(one.callee)
        # What is not called from there begins a map of its own.
        rest = [one.caller for one in edges if one.caller and one.caller not in depth]
        if not rest:
            return depth
        depth[rest[0]] = 0
        reached = [rest[0]]


def _places(depth: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    columns: dict[int, list[str]] = {}
    for name, column in depth.items():
        columns.setdefault(column, []).append(name)
    tallest = max(len(names) for names in columns.values())
    step = _HEIGHT + _DOWN
    return {
        name: (
            _MARGIN + number * (_WIDTH + _ACROSS),
            _MARGIN + round((tallest - len(names)) * step / 2) + at * step,
        )
        for number, names in enumerate(columns[column] for column in sorted(columns))
        for at, name in enumerate(names)
    }


def _box(name: str, place: tuple[int, int], spent: ServiceTime | None, traced: bool) -> Box:
    lines = []
    if spent is not None:
        lines = [text(spent.layer, _NAME), f"self {duration(spent.own_ns)}"]
    elif not traced:
        lines = ["not traced"]
    return Box(*place, text(name, _NAME), text(name, 80), lines, traced)


def _arrow(one: ServiceRow, place: Mapping[str, tuple[int, int]], most: int, lowest: int) -> Arrow:
    (x0, y0), (x1, y1) = place[one.caller or CLIENTS], place[one.callee]
    if x1 > x0:
        x0, y0, y1 = x0 + _WIDTH, y0 + _HEIGHT // 2, y1 + _HEIGHT // 2
        bend = x0 + _ACROSS // 2
        path = f"M{x0},{y0} C{bend},{y0} {x1 - _ACROSS // 2},{y1} {x1 - 6},{y1}"
        x, y = x1 - _ACROSS // 2, y1 - (y1 - y0) // 4
        if x1 - x0 <= _ACROSS:
            x, y = (x0 + x1) // 2, (y0 + y1) // 2
    else:
        # Back, within its column or to itself: below all boxes.
        x0, y0, x1, y1 = x0 + _WIDTH // 2, y0 + _HEIGHT, x1 + _WIDTH // 3, y1 + _HEIGHT
        low = lowest + _HEIGHT - 8
        path = f"M{x0},{y0} C{x0},{low} {x1},{low} {x1},{y1 + 6}"
        x, y = (x0 + x1) // 2, (y0 + y1 + 6 * low) // 8
    return Arrow(
        path=path,
        width=round(1.2 + 4 * math.sqrt(one.calls / most), 1),
        x=x,
        y=y,
        calls=f"{count(one.calls)} {'call' if one.calls == 1 else 'calls'}",
        mean=duration(one.mean_ns),
        failing=bool(one.errors),
    )
