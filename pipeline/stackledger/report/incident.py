"""The course of events: the latency heat map, and below it the host on the same time axis.

Every chart has the same width and the same axis, so that one place is one moment on
all of them. The rows of the table are the axis's intervals: `report.js` selects them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stackledger.report import charts, drawing, hostdata, timedata, vegalite
from stackledger.report.charts import Axis, Label, Plot
from stackledger.report.figures import round_duration
from stackledger.report.format import count, duration, share
from stackledger.report.heatmap import HeatMap, heat_map
from stackledger.report.moments import SAMPLE_NS, Measured, Row, middle, per_second, rows
from stackledger.report.vegalite import Box

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import duckdb

    from stackledger.report.timedata import Grid

# Points further apart than so many of their grain are not joined.
_GAP = 2.5
_RULES = 4
_LEAST_BYTES_PER_S = 1024.0  # an axis of less has no round numbers


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart; `legend` has (CSS class of the line, text)."""

    title: str
    legend: list[tuple[str, str]]
    plot: Plot


@dataclass(frozen=True, slots=True)
class Incident:
    """The section: `interval` is how long a row is, `step` its share of the axis in percent."""

    heat: HeatMap | None
    panels: list[Panel]
    rows: list[Row]
    interval: str
    step: float
    ends: str


def incident(
    connection: duckdb.DuckDBPyConnection, endpoint: str | None, start_ts_ns: int, window_ns: int
) -> Incident | None:
    """Return the section for one endpoint's latency or all; None where nothing was measured."""
    axis = timedata.grid(start_ts_ns, window_ns)
    times = charts.labels(
        Axis(0, axis.window_ns), 6, lambda ns: round_duration(ns) if ns else "0 s"
    )
    found = Measured(
        axis=axis,
        intervals=timedata.intervals(connection, endpoint, axis),
        disk=timedata.disk(connection, axis),
        host=hostdata.host(connection, axis),
        network=hostdata.network(connection, axis),
        retransmits=timedata.retransmits(connection, axis),
        cache=hostdata.cache(connection, axis),
    )
    heat = heat_map(timedata.cells(connection, endpoint, axis), axis, times)
    panels = _panels(found, times)
    if heat is None and not panels:
        return None
    return Incident(
        heat=heat,
        panels=panels,
        rows=rows(found),
        interval=round_duration(axis.width_ns),
        step=100 * axis.width_ns / axis.window_ns,
        ends=duration(axis.window_ns),
    )


def _panels(found: Measured, times: list[Label]) -> list[Panel]:
    axis = found.axis
    panels = []
    if found.disk:
        lines = [
            _line("p99", "p99 of queue and device", [one.p99_ns for one in found.disk]),
            _line("p50", "p50", [one.p50_ns for one in found.disk]),
        ]
        places = [middle(axis, one.column) for one in found.disk]
        y = charts.around([v for line in lines for v in line.known], log=True)
        on = _Axes(axis, y, round_duration, axis.width_ns, times)
        panels.append(_panel("Disk latency, logarithmic", places, lines, on))
    if found.retransmits:
        panels.append(_retransmits(found, times))
    grain_ns = max(axis.width_ns, SAMPLE_NS)
    for title, samples, names, kind in (
        ("Network", found.network, ("other hosts", "this host (lo)"), _bandwidth),
        ("CPU and memory", found.host, ("CPUs busy", "memory in use"), _shares),
        ("Page cache", found.cache, ("lookups that cost no read", ""), _shares),
    ):
        lines = [
            _line("p99", names[0], [one.first for one in samples]),
            _line("p50", names[1], [one.second for one in samples]),
        ]
        lines = [line for line in lines if line.known]
        if lines:
            y, write = kind([v for line in lines for v in line.known])
            on = _Axes(axis, y, write, grain_ns, times)
            panels.append(_panel(title, [one.offset_ns for one in samples], lines, on))
    return panels


def _shares(_: Sequence[float]) -> tuple[Axis, Callable[[float], str]]:
    return Axis(0.0, 1.0), lambda value: share(value).replace(".0 ", " ")


def _bandwidth(known: Sequence[float]) -> tuple[Axis, Callable[[float], str]]:
    """Return an axis whose round numbers are round in KiB, MiB, ... and how to write them."""
    known = [*known, _LEAST_BYTES_PER_S]
    unit = next(2**bits for bits in (40, 30, 20, 10) if max(known) >= 2**bits)
    axis = replace(charts.around(known, log=False), unit=unit)
    return axis, lambda v: re.sub(r"\.0+ ", " ", per_second(v))


@dataclass(frozen=True, slots=True)
class _Line:
    """One line: `swatch` is its CSS class; None where nothing was counted."""

    swatch: str
    name: str
    values: Sequence[float | None]
    known: list[float]


@dataclass(frozen=True, slots=True)
class _Axes:
    """What a panel's lines are drawn on; `grain_ns` is how far apart its points usually are."""

    time: Grid
    y: Axis
    write: Callable[[float], str]
    grain_ns: int
    times: list[Label]


def _line(swatch: str, name: str, values: Sequence[float | None]) -> _Line:
    return _Line(swatch, name, values, [v for v in values if v is not None])


def _panel(title: str, places: Sequence[float], lines: Sequence[_Line], on: _Axes) -> Panel:
    x = Axis(0, on.time.window_ns)
    drawn: list[tuple[str, list[tuple[float, float]]]] = []
    for line in lines:
        points = [(at, v) for at, v in zip(places, line.values, strict=True) if v is not None]
        drawn += [(line.swatch, piece) for piece in _pieces(points, on.grain_ns)]
    ranges = (
        f"{line.name} {on.write(min(line.known))} to {on.write(max(line.known))}" for line in lines
    )
    spec = vegalite.lines(drawn, x, on.y, on.y.ticks(_RULES))
    shown = drawing.plot(spec, f"{title} over time: {'; '.join(ranges)}")
    legend = [(line.swatch, line.name) for line in lines]
    y_labels = charts.labels(on.y, _RULES, on.write)
    return Panel(title, legend, Plot(shown, on.times, y_labels, []))


def _retransmits(found: Measured, times: list[Label]) -> Panel:
    x, axis = Axis(0, found.axis.window_ns), found.axis
    y = charts.around([n for _, n in found.retransmits], log=False)
    rules = _RULES - 1
    columns = []
    for at, n in found.retransmits:
        from_ns = at * axis.width_ns
        tip = f"{duration(from_ns)} into the capture: {count(n)}"
        columns.append(Box(from_ns, from_ns + axis.width_ns, n, tip, fill="var(--bar-slow)"))
    title = "Packets that TCP sent again"
    total = count(sum(n for _, n in found.retransmits))
    spec = vegalite.boxes(columns, x, y, y.ticks(rules), gap=0.1)
    drawn = drawing.plot(spec, f"{title} over time: {total} in all")
    return Panel(title, [], Plot(drawn, times, charts.labels(y, rules, count), []))


def _pieces(
    points: Sequence[tuple[float, float]], grain_ns: int
) -> list[list[tuple[float, float]]]:
    """Return the points in runs without a gap."""
    pieces: list[list[tuple[float, float]]] = []
    for point in points:
        if not pieces or point[0] - pieces[-1][-1][0] > grain_ns * _GAP:
            pieces.append([])
        pieces[-1].append(point)
    return pieces
