"""The cost table as the page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from stackledger.analysis.costlines import PARTS
from stackledger.report.costbars import idle_legend, idle_lines, proof, waterfall
from stackledger.report.costcells import Cells, Scale, cells, decimals, statistical
from stackledger.report.format import batch, count, duration, money, share
from stackledger.report.pricelist import price_lines
from stackledger.report.shown import text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stackledger.analysis.costresult import CostResult, TransactionCost
    from stackledger.report.costbars import BarLine
    from stackledger.report.pricelist import PriceLine

_ENDPOINTS = 10
_COLUMNS = {
    "CPU": ("cpu",),
    "memory": ("memory",),
    "disk": ("disk_capacity", "disk_iops", "disk_throughput"),
    "network": ("network",),
    "shared": ("shared",),
    "idle": ("idle",),
}


@dataclass(frozen=True, slots=True)
class CostLine:
    """One line of the table: an endpoint (`head`) or a layer below it."""

    name: str
    head: bool
    requests: str
    marginal: str
    direct: str
    parts: list[str]
    loaded: str
    interval: str
    at_most: str


@dataclass(frozen=True, slots=True)
class CostView:
    """The cost section: `proof` adds up to the bill of the window."""

    per: str
    model: str
    window: str
    headline: str
    dearest: str
    waterfall: list[BarLine]
    idle: list[BarLine]
    idle_legend: list[tuple[str, str]]
    prices: list[PriceLine]
    columns: list[str]
    lines: list[CostLine]
    more: str
    bill: list[tuple[str, str, str]]
    proof: list[tuple[str, str, str]]
    difference: str
    dated: str
    policy: str
    idle_policy: str
    warnings: list[str]
    notes: list[str]


def view(result: CostResult) -> CostView:
    """Return the cost of the dearest endpoints, and how the bill of the window was split."""
    dearest = sorted(result.transactions, key=lambda row: (-row.total_usd, row.endpoint))
    shown = dearest[:_ENDPOINTS]
    highest = max((row.loaded_usd for row in shown), default=Decimal(0))
    number, per = batch(highest)
    scale = Scale(number, decimals(highest * number), result.currency)
    split = [cells(result, row, scale) for row in shown]
    columns = {
        heading: parts
        for heading, parts in _COLUMNS.items()
        if any(row.parts[part] for row in result.transactions for part in parts)
    }
    return CostView(
        per=f"per {per}",
        model=text(result.model),
        window=duration(result.window_ns),
        headline=_headline(result, shown, number, per),
        dearest=text(shown[0].endpoint) if shown else "",
        waterfall=waterfall(split[0], scale) if split else [],
        idle=idle_lines(result),
        idle_legend=idle_legend(),
        prices=price_lines(result),
        columns=list(columns),
        lines=[
            line
            for row, own in zip(shown, split, strict=True)
            for line in _lines(row, own, list(columns.values()), scale)
        ],
        more=_more(result, dearest[_ENDPOINTS:]),
        bill=[
            (
                text(line.item),
                "by use" if line.monthly_usd is None else _money(result, line.monthly_usd),
                _in_window(result, line.cost_usd),
            )
            for line in result.bill
        ],
        proof=proof(result),
        difference=_money(result, result.difference_usd),
        dated=_dated(result),
        policy=f"events lost: {share(result.lost_share)}; idle capacity: {result.idle_policy}",
        idle_policy=result.idle_policy.replace("_", " "),
        warnings=[text(warning, 400) for warning in result.warnings],
        notes=[text(note, 400) for note in result.notes],
    )


def _headline(result: CostResult, shown: list[TransactionCost], number: int, per: str) -> str:
    if not shown:
        return "No request was seen: the whole bill is idle or unattributed."
    first = shown[0]
    loaded, disk = (_money(result, x * number) for x in (first.loaded_usd, first.disk_usd))
    return f"{text(first.endpoint)} costs {loaded} per {per}, of which disk I/O {disk}."


def _lines(
    row: TransactionCost, own: Cells, groups: list[tuple[str, ...]], scale: Scale
) -> Iterable[CostLine]:
    """Return an endpoint and its layers; what is printed sums along both ways."""
    at_most = None
    if row.loaded_high_usd is not None:
        # An upper end is rounded up.
        high = (row.loaded_high_usd * scale.number).scaleb(scale.places)
        at_most = max(own.loaded, int(high.to_integral_value(ROUND_CEILING)))
    yield CostLine(
        name=text(row.endpoint),
        head=True,
        requests=count(row.requests),
        marginal=money(row.marginal_usd * scale.number, scale.currency, scale.places),
        direct=money(row.direct_usd * scale.number, scale.currency, scale.places),
        parts=[scale.written(sum(sum(own.part(part)) for part in parts)) for parts in groups],
        loaded=scale.written(own.loaded),
        interval=statistical(row),
        at_most=scale.written(at_most),
    )
    for label, grains, used in zip(own.layers, own.grains, own.used, strict=True):
        known = []
        for parts in groups:
            places = [PARTS.index(part) for part in parts]
            known.append(
                scale.written(sum(grains[at] for at in places))
                if any(used[at] for at in places)
                else scale.written(None)
            )
        yield CostLine(label, False, "", "", "", known, scale.written(sum(grains)), "", "")


def _more(result: CostResult, rest: list[TransactionCost]) -> str:
    if not rest:
        return ""
    spent = sum((row.total_usd for row in rest), Decimal(0))
    return f"{count(len(rest))} more endpoints: {_in_window(result, spent)} in the window"


def _dated(result: CostResult) -> str:
    if result.oldest_source_date is None:
        return "No price comes from the catalogue."
    grades = ", ".join(sorted({price.confidence for price in result.prices}))
    oldest = result.oldest_source_date.isoformat()
    return f"List prices ({grades}); the oldest was read on {oldest}."


def _money(result: CostResult, amount: Decimal | None) -> str:
    return money(amount, result.currency)


def _in_window(result: CostResult, amount: Decimal) -> str:
    """Return an amount with four figures of the bill."""
    return money(amount, result.currency, decimals(result.bill_usd))
