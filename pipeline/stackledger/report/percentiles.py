"""The ledger at several percentiles: a bar each on one scale, stacked by part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.report.format import count, duration, share
from stackledger.report.ledgerview import segments
from stackledger.report.parts import PARTS
from stackledger.report.shown import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackledger.analysis.attribution import Band
    from stackledger.report.ledgerview import Segment
    from stackledger.report.percentiledata import PercentileBand

_SAID = 3
_WORTH_SAYING = 0.02


@dataclass(frozen=True, slots=True)
class PercentileRow:
    """One percentile: `words` name the layers' largest parts; `asked` is the page's own."""

    name: str
    asked: bool
    segments: list[Segment]
    wall: str
    roots: str
    words: list[str]


def rows(found: Sequence[PercentileBand], asked: float) -> list[PercentileRow]:
    """Return the bars from the fastest to the slowest; the slowest is as long as the track."""
    longest_ns = max((one.band.wall_ns for one in found), default=0) or 1.0
    return [
        PercentileRow(
            name=f"p{one.percentile:g}",
            asked=one.percentile == asked,
            segments=segments(_summed(one.band), longest_ns),
            wall=duration(one.band.wall_ns),
            roots=count(one.band.roots),
            words=_words(one.band),
        )
        for one in found
    ]


def _summed(band: Band) -> dict[str, float]:
    return {part.column: sum(line.parts[part.column] for line in band.lines) for part in PARTS}


def _words(band: Band) -> list[str]:
    """Return the largest parts with whose they are: "database postgres disk 80.1 ms (75.2 %)"."""
    floor_ns = max(band.wall_ns * _WORTH_SAYING, 1)
    pieces = [
        (line.parts[part.column], line, part.key)
        for line in band.lines
        for part in PARTS
        if line.parts[part.column] >= floor_ns
    ]
    largest = sorted(pieces, key=lambda one: (-one[0], one[1].layer, one[1].service, one[2]))
    said = []
    for ns, line, key in largest[:_SAID]:
        who = " ".join(dict.fromkeys((text(line.layer, 40), text(line.service, 60))))
        said.append(f"{who} {key} {duration(ns)} ({share(ns / band.wall_ns)})")
    return said
