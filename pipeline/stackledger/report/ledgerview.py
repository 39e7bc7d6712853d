"""The ledger as the page shows it: bars on one scale, and a table that adds up as printed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.report.format import duration, share
from stackledger.report.parts import BY_KEY, PARTS
from stackledger.report.rounding import controlled
from stackledger.report.shown import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stackledger.analysis.attribution import Attribution, Band, Line

# Unit of the table by the band's wall time: a tenth of it is the grain shown.
_UNITS = ((2_000_000, "µs", 1_000), (20_000_000_000, "ms", 1_000_000))
_SECONDS = ("s", 1_000_000_000)
_WORTH_SAYING = 0.01
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Segment:
    """One part in a bar; `left` and `width` are percentages of the track."""

    key: str
    left: float
    width: float
    label: str
    tip: str

    @property
    def fill(self) -> str:
        """Return how it is filled in a drawing."""
        return BY_KEY[self.key].fill


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One layer and service; `cells` follow the view's columns, all texts in one unit."""

    layer: str
    service: str
    depth: int
    segments: list[Segment]
    words: str
    own: str
    own_share: str
    cells: list[str]
    median: str
    excess: str


@dataclass(frozen=True, slots=True)
class LedgerView:
    """The ledger of the slow band: `total` is its last row, and the sum of the others."""

    unit: str
    columns: list[str]
    rows: list[LedgerRow]
    total: LedgerRow
    column_shares: list[str]
    unexplained: str
    unexplained_share: float
    reasons: list[str]


def ledger(attribution: Attribution) -> LedgerView:
    """Return the ledger of the slow band beside the median's."""
    slow, median = attribution.slow, attribution.median
    unit, size = next(((name, ns) for limit, name, ns in _UNITS if slow.wall_ns < limit), _SECONDS)
    grain = size // 10
    slow_lines, median_lines = _by_key(slow), _by_key(median)
    # A service that only the median has is part of the excess: its loss.
    keys = [*slow_lines, *(key for key in median_lines if key not in slow_lines)]
    cells = _rounded([slow_lines.get(key) for key in keys], grain)
    medians = [sum(row) for row in _rounded([median_lines.get(key) for key in keys], grain)]
    totals = [sum(column) for column in zip(*cells, strict=True)]
    kept = [i for i, part in enumerate(PARTS) if totals[i] or part.key == "unexplained"]

    def written(grains: int) -> str:
        return duration(grains * grain, unit).removesuffix(f" {unit}")

    def signed(grains: int) -> str:
        return f"+{written(grains)}" if grains > 0 else written(grains)

    rows = []
    for number, key in enumerate(keys):
        line = slow_lines.get(key) or median_lines[key]
        parts = slow_lines[key].parts if key in slow_lines else {}
        own = sum(cells[number])
        rows.append(
            LedgerRow(
                layer=text(line.layer, 40),
                service=text(line.service, 60),
                depth=line.depth,
                segments=segments(parts, slow.wall_ns),
                words=_words(parts, slow.wall_ns),
                own=written(own),
                own_share=share(_of(sum(parts.values()), slow.wall_ns)),
                cells=[written(cells[number][i]) for i in kept],
                median=written(medians[number]),
                excess=signed(own - medians[number]),
            )
        )
    summed = {part.column: _sum(slow, part.column) for part in PARTS}
    unexplained_ns = summed["unexplained_ns"]
    total = LedgerRow(
        layer="all layers",
        service="",
        depth=0,
        segments=segments(summed, slow.wall_ns),
        words=_words(summed, slow.wall_ns),
        own=written(sum(totals)),
        own_share=share(_of(sum(summed.values()), slow.wall_ns)),
        cells=[written(totals[i]) for i in kept],
        median=written(sum(medians)),
        excess=signed(sum(totals) - sum(medians)),
    )
    return LedgerView(
        unit=unit,
        columns=[PARTS[i].key for i in kept],
        rows=rows,
        total=total,
        column_shares=[share(_of(summed[PARTS[i].column], slow.wall_ns)) for i in kept],
        unexplained=duration(unexplained_ns),
        unexplained_share=_of(unexplained_ns, slow.wall_ns),
        reasons=_reasons(slow_lines, median_lines, slow.wall_ns - median.wall_ns),
    )


def segments(parts: Mapping[str, float], whole_ns: float) -> list[Segment]:
    """Return the parts as pieces of a bar that is `whole_ns` long, in the order of PARTS."""
    pieces, at = [], 0.0
    for part in PARTS:
        ns = parts.get(part.column, 0)
        if ns <= 0 or ns / whole_ns < 0.0005:
            continue
        width = round(100 * ns / whole_ns, 3)
        label = f"{part.key} {duration(ns)}"
        tip = f"{label}, {share(ns / whole_ns)}"
        pieces.append(Segment(part.key, round(at, 3), width, label, tip))
        at += width
    return pieces


def _words(parts: Mapping[str, float], whole_ns: float) -> str:
    """Return the parts worth a word, the largest first: "disk 88.2 ms · queue 2.48 ms"."""
    largest = sorted(PARTS, key=lambda part: -parts.get(part.column, 0))
    floor = _WORTH_SAYING * min(whole_ns, max(sum(parts.values()), 1))
    said = [part for part in largest if parts.get(part.column, 0) > floor]
    return " · ".join(f"{part.key} {duration(parts[part.column])}" for part in said[:4])


def _by_key(band: Band) -> dict[_Key, Line]:
    return {(line.layer, line.service): line for line in band.lines}


def _rounded(lines: list[Line | None], grain: int) -> list[list[int]]:
    """Return the parts in grains; what is nothing beside a grain is nothing."""
    table = [[round(line.parts[part.column]) if line else 0 for part in PARTS] for line in lines]
    return controlled([[ns if abs(ns) * 50 > grain else 0 for ns in row] for row in table], grain)


def _sum(band: Band, column: str) -> float:
    return sum(line.parts[column] for line in band.lines)


def _of(ns: float, whole_ns: float) -> float:
    return ns / whole_ns if whole_ns else 0.0


def _reasons(slow: dict[_Key, Line], median: dict[_Key, Line], excess_ns: float) -> list[str]:
    """Return the parts that make slow transactions slow, the largest first, at most three."""
    if excess_ns <= 0:
        return []
    grown = []
    for key, line in slow.items():
        usual = median[key].parts if key in median else {}
        for part in PARTS:
            ns = line.parts[part.column] - usual.get(part.column, 0.0)
            if ns > 0.05 * excess_ns:
                who = line.service if line.service == line.layer else " ".join(key)
                grown.append((-ns, f"{text(who, 80)} {part.key}"))
    return [f"{who} +{duration(-ns)}" for ns, who in sorted(grown)[:3]]
