"""The slowest transactions as rows of bars: each span where it began and ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.report import charts
from stackledger.report.charts import Axis, Label
from stackledger.report.figures import round_duration
from stackledger.report.format import count, duration
from stackledger.report.parts import PARTS
from stackledger.report.shown import text

if TYPE_CHECKING:
    from stackledger.report.slowdata import Slow, Span

_SAID = 3


@dataclass(frozen=True, slots=True)
class Fill:
    """So much of a bar, in percent of it, went there."""

    key: str
    width: float
    tip: str


@dataclass(frozen=True, slots=True)
class SpanView:
    """One bar: `left` and `width` are percentages of the transaction, segments of the bar."""

    layer: str
    service: str
    endpoint: str
    depth: int
    left: float
    width: float
    segments: list[Fill]
    wall: str
    words: str
    flags: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """One slow transaction."""

    endpoint: str
    wall: str
    since_start: str
    flags: str
    spans: list[SpanView]
    times: list[Label]
    left_out: str


def timeline(slow: Slow, start_ts_ns: int) -> Timeline:
    """Return a transaction for the page; `start_ts_ns` is when the capture began."""
    ends = (span.offset_ns + span.wall_ns for span in slow.spans)
    whole_ns = max(slow.wall_ns, *ends, 1)
    return Timeline(
        endpoint=text(slow.endpoint),
        wall=duration(slow.wall_ns),
        since_start=duration(max(0, slow.ts_ns - start_ts_ns)),
        flags=_flags(slow.complete, slow.error),
        spans=[_span(span, whole_ns) for span in slow.spans],
        times=charts.labels(Axis(0, whole_ns), 5, lambda ns: round_duration(ns) if ns else "0 ms"),
        left_out=f"{count(slow.left_out)} shorter ones below it are not shown"
        if slow.left_out > 0
        else "",
    )


def _span(span: Span, whole_ns: int) -> SpanView:
    left = min(max(0.0, 100 * span.offset_ns / whole_ns), 100.0)
    return SpanView(
        layer=text(span.layer, 40),
        service=text(span.service, 60),
        endpoint=text(span.endpoint),
        depth=span.depth,
        left=round(left, 3),
        width=round(min(100 * span.wall_ns / whole_ns, 100 - left), 3),
        segments=_segments(span),
        wall=duration(span.wall_ns),
        words=_words(span),
        flags=_flags(span.complete, span.error),
    )


def _segments(span: Span) -> list[Fill]:
    """Return the bar's own parts in order of PARTS, and what its calls cover last."""
    whole_ns = max(span.wall_ns, 1)
    pieces = [(part.key, span.parts.get(part.key, 0)) for part in PARTS]
    pieces.append(("downstream", span.parts.get("downstream", 0)))
    return [
        Fill(key, round(100 * ns / whole_ns, 2), f"{key} {duration(ns)}")
        for key, ns in pieces
        if ns / whole_ns >= 0.002
    ]


def _words(span: Span) -> str:
    own = {key: ns for key, ns in span.parts.items() if key != "downstream" and ns > 0}
    floor = max(sum(own.values()), 1) * 0.02
    largest = sorted(((-ns, key) for key, ns in own.items() if ns >= floor))[:_SAID]
    return " · ".join(f"{key} {duration(-ns)}" for ns, key in largest)


def _flags(complete: bool, error: bool) -> str:
    flags = [*([] if complete else ["still open when the capture ended"])]
    flags += ["failed"] if error else []
    return ", ".join(flags)
