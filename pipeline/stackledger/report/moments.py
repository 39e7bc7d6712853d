"""The course of events as a table: what every interval of the time axis held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.report.format import NO_VALUE, count, duration, share, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackledger.report.hostdata import Sample
    from stackledger.report.timedata import DiskInterval, Grid, Interval

# The host's counters are read once a second.
SAMPLE_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found of one range."""

    axis: Grid
    intervals: list[Interval]
    disk: list[DiskInterval]
    host: list[Sample]
    network: list[Sample]
    retransmits: list[tuple[int, int]]
    cache: list[Sample]


@dataclass(slots=True)
class Row:
    """One interval of the table, as texts."""

    at: str
    requests: str = NO_VALUE
    p50: str = NO_VALUE
    p99: str = NO_VALUE
    ios: str = NO_VALUE
    disk_p99: str = NO_VALUE
    network: str = NO_VALUE
    cpu: str = NO_VALUE
    memory: str = NO_VALUE


def rows(found: Measured) -> list[Row]:
    """Return every interval of the axis, in order of time."""
    axis = found.axis
    lines = [Row(at=_start(column * axis.width_ns)) for column in range(axis.columns)]
    for one in found.intervals:
        row = lines[one.column]
        row.requests, row.p50 = count(one.requests), duration(one.p50_ns)
        row.p99 = duration(one.p99_ns)
    for io in found.disk:
        lines[io.column].ios, lines[io.column].disk_p99 = count(io.ios), duration(io.p99_ns)
    for column, row in enumerate(lines):
        if sample := _nearest(found.host, middle(axis, column), axis.width_ns):
            row.cpu, row.memory = share(sample.first), share(sample.second)
        if sample := _nearest(found.network, middle(axis, column), axis.width_ns):
            known = [v for v in (sample.first, sample.second) if v is not None]
            row.network = per_second(sum(known)) if known else NO_VALUE
    return lines


def _nearest(samples: Sequence[Sample], at: float, width_ns: int) -> Sample | None:
    """Return the sample that a moment lies in: one is a second long, or an interval."""
    reach = max(width_ns, SAMPLE_NS) / 2
    near = [one for one in samples if abs(one.offset_ns - at) <= reach]
    return min(near, key=lambda one: abs(one.offset_ns - at), default=None)


def middle(axis: Grid, column: int) -> float:
    """Return the middle of an interval; the last one may be cut short."""
    from_ns = column * axis.width_ns
    return (from_ns + min(from_ns + axis.width_ns, axis.window_ns)) / 2


def _start(ns: int) -> str:
    return duration(ns) if ns else "0 s"


def per_second(value: float) -> str:
    """Return bytes per second as text."""
    return f"{size(value)}/s"
