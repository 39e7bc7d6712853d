"""The prices that a cost table rests on, with where and when they were read."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from stackledger.report.format import money
from stackledger.report.shown import text

if TYPE_CHECKING:
    from stackledger.analysis.charges import Charge
    from stackledger.analysis.costresult import CostResult
    from stackledger.analysis.pricecatalog import Price

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One price: `doubtful` where sources disagree, or nobody but the user vouches for it."""

    what: str
    amount: str
    unit: str
    source: str
    dated: str
    confidence: str
    doubtful: bool


def price_lines(result: CostResult) -> list[PriceLine]:
    """Return the list prices used, oldest first, then the user's own figures."""
    listed = sorted(result.prices, key=lambda price: (price.source_date, price.price_id))
    own = {
        charge.own: charge
        for line in result.bill
        for charge in line.charges
        if charge.own is not None and charge.price_id is None
    }
    lines = [_listed(price) for price in listed] + [_own(one, result) for one in own.values()]
    return lines[:_SHOWN]


def _listed(price: Price) -> PriceLine:
    sku = f"{text(price.sku)} {price.dimension}"
    if price.tier_start:
        sku += f", above {price.tier_start:f}"
    return PriceLine(
        what=sku,
        amount="included" if not price.price else money(price.price, price.currency),
        unit=f"per {price.unit}",
        source=text(price.source),
        dated=price.source_date.isoformat(),
        confidence="your own figure" if price.confidence == "user" else price.confidence,
        doubtful=price.confidence != "verified",
    )


def _own(charge: Charge, result: CostResult) -> PriceLine:
    units = {"Months": "month", "GB": "GB", "Hours": "hour"}
    return PriceLine(
        what=text((charge.own or "").replace("/", " ", 1)),
        amount=money(Decimal(charge.price), result.currency),
        unit=f"per {units.get(charge.unit, charge.unit)}",
        source=f"the model {text(result.model)}",
        dated="–",
        confidence="your own figure",
        doubtful=True,
    )
