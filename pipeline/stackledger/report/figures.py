"""The page's charts from its data: latency histogram, disk latency and IOPS over time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.report import charts, drawing, vegalite
from stackledger.report.charts import Axis, Label, Plot
from stackledger.report.format import count, duration, share, size
from stackledger.report.vegalite import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackledger.report.diskdata import DiskPoint, DiskRow
    from stackledger.report.pagedata import Bin

_RULES = 4
_GAP = 0.1


@dataclass(frozen=True, slots=True)
class DiskFigure:
    """One disk's two charts; `summary` is its line of text."""

    name: str
    summary: str
    latency: Plot
    iops: Plot


def latency(bins: Sequence[Bin], marks: Sequence[tuple[str, float]]) -> Plot | None:
    """Return the histogram with the percentiles marked; None where nothing was answered."""
    if not bins:
        return None
    x = Axis(bins[0].from_ns, bins[-1].to_ns, log=True)
    y = charts.around([one.requests for one in bins], log=False)
    columns = []
    for one in bins:
        tip = f"{duration(one.from_ns)} to {duration(one.to_ns)}: {count(one.requests)}"
        columns.append(Box(one.from_ns, one.to_ns, one.requests, tip))
        if one.slow:
            tip = f"{tip}, {count(one.slow)} of them in the slow band"
            columns.append(Box(one.from_ns, one.to_ns, one.slow, tip, fill="var(--bar-slow)"))
    said = "; ".join(["requests by latency, logarithmic", *(_mark(*one) for one in marks)])
    return Plot(
        drawing=drawing.plot(vegalite.boxes(columns, x, y, y.ticks(_RULES), gap=_GAP), said),
        x_labels=charts.labels(x, 7, round_duration),
        y_labels=charts.labels(y, _RULES, count),
        marks=[Label(round(100 * x.at(ns), 2), _mark(name, ns)) for name, ns in marks],
    )


def _mark(name: str, ns: float) -> str:
    return f"{name} {duration(ns)}"


def disk(
    row: DiskRow, points: Sequence[DiskPoint], window_ns: int, width_ns: int, shown: str
) -> DiskFigure:
    """Return one disk's charts over the whole capture, a point per `width_ns`."""
    x = Axis(0, max(window_ns, *(point.offset_ns + 1 for point in points)))

    def length(point: DiskPoint) -> float:
        # The capture may end within the last interval; a tenth of one is no rate yet.
        return max(min(width_ns, x.high - point.offset_ns), width_ns / 10)

    seconds = charts.labels(x, 6, lambda ns: round_duration(ns) if ns else "0 s")
    y = charts.around([v for point in points for v in (point.p50_ns, point.p99_ns)], log=True)
    y_labels = charts.labels(y, _RULES, round_duration)

    def middle(point: DiskPoint) -> float:
        return point.offset_ns + length(point) / 2

    rates = [point.ios * 1e9 / length(point) for point in points]
    r = charts.around(rates, log=False)
    r_labels = charts.labels(r, _RULES, count)
    drawn = [
        ("p99", [(middle(point), point.p99_ns) for point in points]),
        ("p50", [(middle(point), point.p50_ns) for point in points]),
    ]
    columns = [
        Box(point.offset_ns, point.offset_ns + length(point), rate, _tip(point, rate))
        for point, rate in zip(points, rates, strict=True)
    ]
    latencies = vegalite.lines(drawn, x, y, y.ticks(_RULES))
    iops = vegalite.boxes(columns, x, r, r.ticks(_RULES), gap=_GAP)
    per_second = max(window_ns, 1) / 1e9
    errors = f", {count(row.errors)} failed" if row.errors else ""
    return DiskFigure(
        name=shown,
        summary=f"{count(row.ios)} I/Os{errors}: {count(row.ios / per_second)} IOPS, "
        f"read {size(row.read_bytes / per_second)}/s, "
        f"written {size(row.write_bytes / per_second)}/s, "
        f"p50 {duration(row.p50_ns)}, p95 {duration(row.p95_ns)}, p99 {duration(row.p99_ns)}, "
        f"{share(row.queue_share)} of it queued before the device",
        latency=Plot(
            drawing.plot(latencies, f"latency of {shown} over time"), seconds, y_labels, []
        ),
        iops=Plot(drawing.plot(iops, f"IOPS of {shown} over time"), seconds, r_labels, []),
    )


def _tip(point: DiskPoint, rate: float) -> str:
    return (
        f"{duration(point.offset_ns)}: {count(rate)} IOPS, "
        f"p50 {duration(point.p50_ns)}, p99 {duration(point.p99_ns)}"
    )


def round_duration(ns: float) -> str:
    """Return a round duration without the figures that say so: "5 ms"."""
    return re.sub(r"\.0+(?= )", "", duration(ns))
