"""Writes the Vega-Lite specifications of the charts: rectangles, lines, and rows of bars.

What a capture says stands in `data.values` alone, as values. All else, and with it all
that Vega reads as code or as a name of a field, is written here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stackledger.report.charts import Axis

Spec = dict[str, Any]

WIDTH, HEIGHT, ROW = 1000, 200, 10
# In percent of a bar: what is less wide is drawn so wide, and what has an edge of its own.
_LEAST, _EDGED = 0.1, 0.5
_CONFIG = {
    "view": {"stroke": None},
    # The grid lies where the labels are, not on the next whole pixel.
    "axis": {"translate": 0, "tickRound": False, "gridColor": "var(--rule)"},
}
# Without a scale the values are taken as the colours that they are.
_FILLED = {
    "fill": {"field": "fill", "type": "nominal", "scale": None, "legend": None},
    "description": {"field": "tip", "type": "nominal"},
}
_LINES = {"p99": ("var(--p99)", [1, 0]), "p50": ("var(--p50)", [5, 3])}


@dataclass(frozen=True, slots=True)
class Box:
    """One rectangle in the axes' units: a column, or a field of the heat map."""

    left: float
    right: float
    top: float
    tip: str
    bottom: float = 0.0
    fill: str = "var(--bar)"


class Piece(Protocol):
    """A stretch of a bar, `left` and `width` in percent of the track; `fill` as SVG names it."""

    @property
    def left(self) -> float: ...
    @property
    def width(self) -> float: ...
    @property
    def tip(self) -> str: ...
    @property
    def fill(self) -> str: ...


def boxes(drawn: Sequence[Box], x: Axis, y: Axis, rules: Sequence[float], gap: float = 0.0) -> Spec:
    """Return rectangles; `gap` is the share of a width that stays free, one pixel at most."""
    # What is there is seen, and be it one request among a million.
    least = 0.0 if y.log else y.high * 1.5 / HEIGHT
    values = [
        {
            "left": one.left,
            "right": one.right,
            "bottom": one.bottom,
            "top": max(one.top, least) if one.top > 0 else one.top,
            "fill": one.fill,
            "tip": one.tip,
        }
        for one in drawn
    ]
    widths = [WIDTH * (x.at(one.right) - x.at(one.left)) for one in drawn]
    free = min(1.0, gap * min(widths, default=0.0))
    return _chart(values, HEIGHT) | {
        "mark": {"type": "rect", "x2Offset": -free},
        "encoding": {
            **_across(_scale(x)),
            "y": _up("bottom", y, rules),
            "y2": {"field": "top"},
            **_FILLED,
        },
    }


def lines(
    series: Sequence[tuple[str, Sequence[tuple[float, float]]]],
    x: Axis,
    y: Axis,
    rules: Sequence[float],
) -> Spec:
    """Return lines of (a name of `_LINES`, points); a line of one point becomes a dash."""
    values = []
    for number, (name, points) in enumerate(series):
        shown = list(points)
        if len(shown) == 1:
            (at, value), half = shown[0], (x.high - x.low) * 0.008
            shown = [(at - half, value), (at + half, value)]
        values += [
            {"x": at, "y": value, "name": name, "piece": number, "order": order}
            for order, (at, value) in enumerate(shown)
        ]
    names = list(_LINES)
    colours, dashes = zip(*_LINES.values(), strict=True)
    named = {"field": "name", "type": "nominal", "legend": None}
    return _chart(values, HEIGHT) | {
        "mark": {"type": "line", "strokeWidth": 2, "strokeJoin": "round", "aria": False},
        "encoding": {
            "x": {"field": "x", "type": "quantitative", "axis": None, "scale": _scale(x)},
            "y": _up("y", y, rules),
            "order": {"field": "order", "type": "quantitative"},
            "detail": {"field": "piece", "type": "nominal"},
            "stroke": named | {"scale": {"domain": names, "range": list(colours)}},
            "strokeDash": named | {"scale": {"domain": names, "range": list(dashes)}},
        },
    }


def rows(drawn: Sequence[Sequence[Piece]]) -> Spec:
    """Return bars one below the other, each `ROW` high and on the same scale of 0 to 100."""
    values = [
        {
            "row": row,
            "left": one.left,
            "right": one.left + max(one.width, _LEAST),
            "fill": one.fill,
            "edge": int(one.width > _EDGED),
            "tip": one.tip,
        }
        for row, pieces in enumerate(drawn)
        for one in pieces
    ]
    numbers = list(range(len(drawn)))
    return _chart(values, ROW * len(drawn)) | {
        "mark": {"type": "bar", "stroke": "var(--paper)"},
        "encoding": {
            **_across({"domain": [0, 100], "nice": False, "clamp": True}),
            "y": {
                "field": "row",
                "type": "ordinal",
                "axis": None,
                "scale": {"domain": numbers, "padding": 0},
            },
            "strokeWidth": {"field": "edge", "type": "quantitative", "scale": None, "legend": None},
            **_FILLED,
        },
    }


def _chart(values: list[dict[str, Any]], height: int) -> Spec:
    return {
        "width": WIDTH,
        "height": height,
        "padding": 0,
        "config": _CONFIG,
        "data": {"values": values},
    }


def _scale(axis: Axis) -> Mapping[str, Any]:
    kind = "log" if axis.log else "linear"
    return {"type": kind, "domain": [axis.low, axis.high], "nice": False, "clamp": True}


def _across(scale: Mapping[str, Any]) -> Spec:
    left = {"field": "left", "type": "quantitative", "axis": None, "scale": scale}
    return {"x": left, "x2": {"field": "right"}}


def _up(field: str, axis: Axis, rules: Sequence[float]) -> Spec:
    grid = {"values": list(rules), "labels": False, "ticks": False, "domain": False, "title": None}
    return {"field": field, "type": "quantitative", "scale": _scale(axis), "axis": grid}
