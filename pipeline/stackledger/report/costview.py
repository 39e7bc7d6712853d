"""The cost table as the page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from stackledger.analysis.costlines import PARTS
from stackledger.report.format import batch, count, duration, money, share
from stackledger.report.rounding import controlled
from stackledger.report.shown import text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stackledger.analysis.costresult import CostResult, CostRow, TransactionCost

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
    at_most: str


@dataclass(frozen=True, slots=True)
class CostView:
    """The cost section: `proof` adds up to the bill of the window."""

    per: str
    model: str
    window: str
    headline: str
    columns: list[str]
    lines: list[CostLine]
    more: str
    bill: list[tuple[str, str, str]]
    proof: list[tuple[str, str, str]]
    difference: str
    dated: str
    policy: str
    warnings: list[str]
    notes: list[str]


def view(result: CostResult) -> CostView:
    """Return the cost of the dearest endpoints, and how the bill of the window was split."""
    dearest = sorted(result.transactions, key=lambda row: (-row.total_usd, row.endpoint))
    shown = dearest[:_ENDPOINTS]
    number, per = batch(max((row.loaded_usd for row in shown), default=Decimal(0)))
    places = _places(max((row.loaded_usd for row in shown), default=Decimal(0)) * number)
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
        columns=list(columns),
        lines=[
            line
            for row in shown
            for line in _lines(result, row, list(columns.values()), number, places)
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
        proof=_proof(result),
        difference=_money(result, result.difference_usd),
        dated=_dated(result),
        policy=f"events lost: {share(result.lost_share)}; idle capacity: {result.idle_policy}",
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
    result: CostResult,
    row: TransactionCost,
    groups: list[tuple[str, ...]],
    number: int,
    places: int,
) -> Iterable[CostLine]:
    """Return an endpoint and its layers; what is printed sums along both ways."""
    layers = _by_layer(result.rows, row.endpoint)
    cells = _rounded(
        [[_sum(lines, parts) * number / row.requests for parts in groups] for _, lines in layers],
        places,
    )

    def written(grains: int | None) -> str:
        amount = None if grains is None else Decimal(grains).scaleb(-places)
        return money(amount, result.currency, places)

    loaded = sum(map(sum, cells))
    at_most = None
    if row.loaded_high_usd is not None:
        # An upper end is rounded up.
        high = (row.loaded_high_usd * number).scaleb(places)
        at_most = max(loaded, int(high.to_integral_value(ROUND_CEILING)))
    yield CostLine(
        name=text(row.endpoint),
        head=True,
        requests=count(row.requests),
        marginal=money(row.marginal_usd * number, result.currency, places),
        direct=money(row.direct_usd * number, result.currency, places),
        parts=[written(sum(column)) for column in zip(*cells, strict=True)],
        loaded=written(loaded),
        at_most=written(at_most),
    )
    for (label, lines), own in zip(layers, cells, strict=True):
        known = [
            written(grains if _sum(lines, parts) else None)
            for grains, parts in zip(own, groups, strict=True)
        ]
        yield CostLine(label, False, "", "", "", known, written(sum(own)), "")


def _rounded(amounts: list[list[Decimal]], places: int) -> list[list[int]]:
    """Return the amounts in units of the last decimal place, with sums that fit."""
    fine = 10**6
    return controlled([[round(x.scaleb(places) * fine) for x in row] for row in amounts], fine)


def _places(amount: Decimal) -> int:
    """Return how many decimals show four figures of an amount, and at least cents."""
    return max(2, 3 - amount.adjusted()) if amount else 2


def _by_layer(rows: Iterable[CostRow], endpoint: str) -> list[tuple[str, list[CostRow]]]:
    layers: dict[str, list[CostRow]] = {}
    for row in rows:
        if row.kind == "request" and row.endpoint == endpoint:
            names = [text(name, 60) for name in (row.layer, row.service) if name]
            layers.setdefault(" ".join(dict.fromkeys(names)) or "(any layer)", []).append(row)
    return sorted(layers.items(), key=lambda item: (-_sum(item[1], PARTS), item[0]))


def _sum(rows: Iterable[CostRow], parts: Iterable[str]) -> Decimal:
    wanted = set(parts)
    return sum((row.cost_usd for row in rows if row.part in wanted), Decimal(0))


def _more(result: CostResult, rest: list[TransactionCost]) -> str:
    if not rest:
        return ""
    spent = sum((row.total_usd for row in rest), Decimal(0))
    return f"{count(len(rest))} more endpoints: {_in_window(result, spent)} in the window"


def _proof(result: CostResult) -> list[tuple[str, str, str]]:
    places = _places(result.bill_usd)
    lines = (result.requests_usd, result.idle_usd, result.unattributed_usd)
    grains = [row[0] for row in _rounded([[amount] for amount in lines], places)]
    return [
        (
            label,
            money(Decimal(shown).scaleb(-places), result.currency, places),
            share(float(amount / result.bill_usd) if result.bill_usd else None),
        )
        for label, shown, amount in (
            ("all requests, fully loaded", grains[0], lines[0]),
            ("idle, not shared out", grains[1], lines[1]),
            ("unattributed", grains[2], lines[2]),
            ("bill of the window", sum(grains), sum(lines, Decimal(0))),
        )
    ]


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
    return money(amount, result.currency, _places(result.bill_usd))
