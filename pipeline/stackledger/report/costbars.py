"""The cost section's bars: from one request to dollars, and what of each resource is idle."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from stackledger.analysis.costlines import PARTS
from stackledger.report.costcells import decimals, rounded
from stackledger.report.format import money, share

if TYPE_CHECKING:
    from stackledger.analysis.costresult import CostResult
    from stackledger.report.costcells import Cells, Scale

NAMES = {
    "cpu": "CPU",
    "memory": "memory",
    "disk_capacity": "disk capacity",
    "disk_iops": "disk IOPS",
    "disk_throughput": "disk throughput",
    "network": "network",
    "shared": "shared costs",
    "idle": "idle capacity",
}
_KINDS = {
    "used": "used by requests",
    "borne": "idle, borne by requests",
    "idle": "idle, not shared out",
    "tracer": "recording itself",
    "unattributed": "unattributed",
}
FILLS = {
    "cpu": "#3c5896",
    "memory": "#bf58dd",
    "disk_capacity": "#cc3915",
    "disk_iops": "#cc3915",
    "disk_throughput": "#cc3915",
    "network": "#64b396",
    "shared": "#ec8800",
    "total": "var(--bar-slow)",
    "used": "#3c5896",
    "borne": "url(#pattern-borne)",
    "idle": "url(#pattern-idle)",
    "tracer": "#ead977",
    "unattributed": "#757a81",
}
_WORDS = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of a bar in percent of the track; `key` is what it is."""

    key: str
    left: float
    width: float
    tip: str

    @property
    def fill(self) -> str:
        """Return how it is filled in a drawing; stripes say that nobody used it."""
        return FILLS.get(self.key, "var(--bar)")


@dataclass(frozen=True, slots=True)
class BarLine:
    """One line: a name, its bar, its amount and share, and words below it."""

    name: str
    bars: list[Bar]
    amount: str
    share: str
    words: str
    total: bool = False


def waterfall(cells: Cells, scale: Scale) -> list[BarLine]:
    """Return the parts of one endpoint, each where the last one ended, and their sums.

    The lines sum to the last one as printed. Parts that cost nothing are left out.
    """
    loaded = cells.loaded
    if not loaded:
        return []
    lines, at = [], 0
    for part in PARTS:
        own = cells.part(part)
        if part == "shared" and at:
            lines.append(_total("direct", at, loaded, scale, "what it used itself"))
        if not any(row[PARTS.index(part)] for row in cells.used):
            continue
        amount = sum(own)
        written, of_all = scale.written(amount), share(amount / loaded)
        bar = Bar(part, _percent(at, loaded), _percent(amount, loaded), f"{written} · {of_all}")
        lines.append(BarLine(NAMES[part], [bar], written, of_all, _who(cells, own, scale)))
        at += amount
    # Where nothing follows the direct costs, they are the sum.
    if lines and lines[-1].total:
        lines.pop()
    return [*lines, _total("fully loaded", loaded, loaded, scale, "")]


def _total(name: str, amount: int, loaded: int, scale: Scale, words: str) -> BarLine:
    bar = Bar("total", 0.0, _percent(amount, loaded), name)
    return BarLine(name, [bar], scale.written(amount), share(amount / loaded), words, total=True)


def _who(cells: Cells, own: list[int], scale: Scale) -> str:
    """Return the layers that cost most, where it is more than one."""
    named = sorted(
        ((grains, label) for label, grains in zip(cells.layers, own, strict=True) if grains),
        key=lambda one: (-one[0], one[1]),
    )
    said = [f"{label} {scale.written(grains)}" for grains, label in named[:_WORDS]]
    rest = sum(grains for grains, _ in named[_WORDS:])
    if rest:
        said.append(f"others {scale.written(rest)}")
    return " · ".join(said) if said != ["(any layer)"] else ""


def idle_lines(result: CostResult) -> list[BarLine]:
    """Return per resource with a cost how much of it requests used, and how much was idle.

    A line's shares are of the resource's cost; every kind of row has its place.
    """
    by_resource: dict[str, dict[str, Decimal]] = {}
    for row in result.rows:
        kind = row.kind
        if kind == "request":
            kind = "borne" if row.part == "idle" else "used"
        kinds = by_resource.setdefault(row.resource, {})
        kinds[kind] = kinds.get(kind, Decimal(0)) + row.cost_usd
    places = decimals(result.bill_usd)
    return [
        _idle_line(result, balance.resource, by_resource[balance.resource], places)
        for balance in result.resources
        if balance.resource in by_resource and balance.resource not in ("network", "shared")
    ]


def idle_legend() -> list[tuple[str, str]]:
    """Return what fills the bars of `idle_lines`, and its meaning."""
    return [(FILLS[kind], name) for kind, name in _KINDS.items()]


def _idle_line(
    result: CostResult, resource: str, kinds: dict[str, Decimal], places: int
) -> BarLine:
    whole = sum(kinds.values(), Decimal(0))
    order = [*_KINDS, *sorted(set(kinds) - set(_KINDS))]
    bars, words, at = [], [], Decimal(0)
    for kind in order:
        amount = kinds.get(kind, Decimal(0))
        if not amount:
            continue
        name = _KINDS.get(kind, kind)
        tip = f"{name} {share(float(amount / whole))}"
        bars.append(Bar(kind, _percent(at, whole), _percent(amount, whole), tip))
        words.append(tip)
        at += amount
    idle = kinds.get("idle", Decimal(0)) + kinds.get("borne", Decimal(0))
    return BarLine(
        NAMES.get(resource, resource),
        bars,
        money(whole, result.currency, places),
        f"{share(float(idle / whole))} idle",
        " · ".join(words),
    )


def proof(result: CostResult) -> list[tuple[str, str, str]]:
    """Return the sums by kind of row, and the bill that they come to as printed."""
    labels = {
        "request": "all requests, fully loaded",
        "idle": "idle, not shared out",
        "tracer": "recording itself",
        "unattributed": "unattributed",
    }
    kinds = {kind: Decimal(0) for kind in ("request", "idle", "unattributed")}
    for row in result.rows:
        kinds[row.kind] = kinds.get(row.kind, Decimal(0)) + row.cost_usd
    places = decimals(result.bill_usd)
    grains = [row[0] for row in rounded([[amount] for amount in kinds.values()], places)]
    named = [labels.get(kind, kind) for kind in kinds]
    lines = zip(
        [*named, "bill of the window"],
        [*grains, sum(grains)],
        [*kinds.values(), sum(kinds.values(), Decimal(0))],
        strict=True,
    )
    return [
        (
            label,
            money(Decimal(shown).scaleb(-places), result.currency, places),
            share(float(amount / result.bill_usd) if result.bill_usd else None),
        )
        for label, shown, amount in lines
    ]


def _percent(part: int | Decimal, whole: int | Decimal) -> float:
    return round(float(part * 100 / whole), 2)
