"""The page's charts from its data: latency histogram, disk latency and IOPS over time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.report import charts
from stackledger.report.charts import Axis, Label, Plot
from stackledger.report.format import count, duration, share, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackledger.report.diskdata import DiskPoint, DiskRow
    from stackledger.report.pagedata import Bin


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
    y_labels = charts.labels(y, 4, count)
    columns = []
    for one in bins:
        left, right = x.at(one.from_ns), x.at(one.to_ns)
        tip = f"{duration(one.from_ns)} to {duration(one.to_ns)}: {count(one.requests)}"
        columns.append((left, right, y.at(one.requests), "bar", tip))
        if one.slow:
            tip = f"{tip}, {count(one.slow)} of them in the slow band"
            columns.append((left, right, y.at(one.slow), "bar slow", tip))
    return Plot(
        drawing=charts.bars(columns, "requests by latency, logarithmic", y_labels),
        x_labels=charts.labels(x, 7, round_duration),
        y_labels=y_labels,
        marks=[Label(round(100 * x.at(ns), 2), f"{name} {duration(ns)}") for name, ns in marks],
    )


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
    y_labels = charts.labels(y, 4, round_duration)

    def middle(point: DiskPoint) -> float:
        return x.at(point.offset_ns + length(point) / 2)

    rates = [point.ios * 1e9 / length(point) for point in points]
    r = charts.around(rates, log=False)
    r_labels = charts.labels(r, 4, count)
    drawn = [
        ("line p99", [(middle(point), y.at(point.p99_ns)) for point in points]),
        ("line p50", [(middle(point), y.at(point.p50_ns)) for point in points]),
    ]
    columns = [
        (
            x.at(point.offset_ns),
            x.at(point.offset_ns + length(point)),
            r.at(rate),
            "bar",
            _tip(point, rate),
        )
        for point, rate in zip(points, rates, strict=True)
    ]
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
            charts.lines(drawn, f"latency of {shown} over time", y_labels), seconds, y_labels, []
        ),
        iops=Plot(
            charts.bars(columns, f"IOPS of {shown} over time", r_labels), seconds, r_labels, []
        ),
    )


def _tip(point: DiskPoint, rate: float) -> str:
    return (
        f"{duration(point.offset_ns)}: {count(rate)} IOPS, "
        f"p50 {duration(point.p50_ns)}, p99 {duration(point.p99_ns)}"
    )


def round_duration(ns: float) -> str:
    """Return a round duration without the figures that say so: "5 ms"."""
    return re.sub(r"\.0+(?= )", "", duration(ns))
