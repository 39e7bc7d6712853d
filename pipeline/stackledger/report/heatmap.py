"""Draws the latency heat map: time by logarithmic latency, the darker the more requests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.report import charts, drawing
from stackledger.report.charts import Axis, Plot
from stackledger.report.figures import round_duration
from stackledger.report.format import count, duration
from stackledger.report.vegalite import Box, boxes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackledger.report.charts import Label
    from stackledger.report.timedata import Cell, Grid

LEVELS = 7
_RULES = 6


@dataclass(frozen=True, slots=True)
class Shade:
    """One colour of the map and what it stands for."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The map and its legend, from few requests to many."""

    plot: Plot
    shades: list[Shade]


def heat_map(cells: Sequence[Cell], axis: Grid, times: list[Label]) -> HeatMap | None:
    """Return the map; None where nothing was answered."""
    if not cells:
        return None
    x = Axis(0, axis.window_ns)
    y = _latencies(cells)
    y_labels = charts.labels(y, _RULES, round_duration)
    bounds = _bounds(max(cell.requests for cell in cells))
    fields = []
    for cell in cells:
        from_ns = cell.column * axis.width_ns
        level = sum(cell.requests > bound for bound in bounds)
        tip = (
            f"{duration(from_ns)} into the capture, {duration(cell.from_ns)} to"
            f" {duration(cell.to_ns)}: {count(cell.requests)}"
        )
        until_ns = from_ns + axis.width_ns
        fill = f"var(--heat{level})"
        fields.append(Box(from_ns, until_ns, cell.to_ns, tip, bottom=cell.from_ns, fill=fill))
    drawn = drawing.plot(boxes(fields, x, y, y.ticks(_RULES)), _said(cells))
    return HeatMap(Plot(drawn, times, y_labels, []), _shades(bounds))


def _latencies(cells: Sequence[Cell]) -> Axis:
    """Return the axis of latencies, a factor of ten at least: one bucket is no wall."""
    low = min(cell.from_ns for cell in cells)
    high = max(cell.to_ns for cell in cells)
    missing = max(1.0, math.sqrt(10 * low / high))
    return Axis(low / missing, high * missing, log=True)


def _bounds(most: int) -> list[int]:
    """Return the highest count of every level but the last: even steps of its logarithm."""
    steps = (round(most ** (level / LEVELS)) for level in range(1, LEVELS))
    return sorted({step for step in steps if step < most})


def _shades(bounds: Sequence[int]) -> list[Shade]:
    edges = [0, *bounds]
    shades = []
    for level, low in enumerate(edges):
        high = edges[level + 1] if level + 1 < len(edges) else None
        first = low + 1
        words = f"{count(first)} or more" if high is None else f"{count(first)} to {count(high)}"
        shades.append(Shade(level, count(first) if first == high else words))
    return shades


def _said(cells: Sequence[Cell]) -> str:
    """Return the map in words, for those who do not see it."""
    requests = sum(cell.requests for cell in cells)
    per_bucket: dict[tuple[float, float], int] = {}
    for cell in cells:
        bucket = (cell.from_ns, cell.to_ns)
        per_bucket[bucket] = per_bucket.get(bucket, 0) + cell.requests
    (low, high), most = max(per_bucket.items(), key=lambda one: (one[1], one[0]))
    slowest = max(cells, key=lambda cell: (cell.to_ns, cell.column))
    return (
        f"latency of {count(requests)} requests over time, logarithmic: most often"
        f" {duration(low)} to {duration(high)}, {count(most)} of them; at most"
        f" {duration(slowest.to_ns)}; the table below has the figures"
    )
