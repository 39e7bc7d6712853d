"""Which prices a cost model may use: its currency, how old, and where sources disagree."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from stackledger.analysis.pricecatalog import UNITS, Price
from stackledger.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from stackledger.analysis.modelfile import ModelFile, OwnPrice


@dataclass(frozen=True, slots=True)
class PriceRules:
    """What is asked of a price; `max_age_days` None allows any age at `today`."""

    currency: str
    today: date
    allow_conflicting: bool = False
    max_age_days: int | None = None

    def check(self, prices: Iterable[Price]) -> None:
        """Raise a UsageError for the first price that the rules forbid."""
        for price in prices:
            if price.currency != self.currency:
                raise UsageError(
                    f"the {price.dimension} price of {price.sku} is in {price.currency},"
                    f" the model's currency is",
                    self.currency,
                    hint=f"give it in {self.currency}: [[price]], or monthly_override of a node",
                )
            if price.confidence == "conflicting" and not self.allow_conflicting:
                raise UsageError(
                    f"sources disagree on the {price.dimension} price of sku",
                    price.sku,
                    hint="--allow-conflicting uses the highest; or give yours: [[price]]",
                )
            age = (self.today - price.source_date).days
            if self.max_age_days is not None and age > self.max_age_days:
                raise UsageError(
                    f"the {price.dimension} price of {price.sku} is of {price.source_date},"
                    f" older than {self.max_age_days} days",
                    f"{age} days",
                    hint="raise --max-price-age, or give today's price: [[price]]",
                )


def own_prices(model: ModelFile) -> tuple[Price, ...]:
    """Return the prices that the model brings along, tier by tier."""
    return tuple(tier for price in model.price for tier in _tiers(price, model.currency))


def _tiers(own: OwnPrice, currency: str) -> Iterable[Price]:
    start = Decimal(0)
    steps = [(tier.upto, tier.price) for tier in own.tiers]
    for number, (end, price) in enumerate(steps or [(None, own.price or Decimal(0))], start=1):
        yield Price(
            price_id=f"own-{own.sku}-{own.dimension}-{number}",
            sku=own.sku,
            dimension=own.dimension,
            unit=own.unit or UNITS[own.dimension][0],
            tier_start=start,
            tier_end=end,
            price=price,
            currency=currency,
            source=own.reason,
            source_date=own.date,
            confidence="user",
        )
        start = end or start


def notices(prices: Iterable[Price]) -> list[str]:
    """Return what a reader of a bill has to know of its prices: whose they are, what is missing."""
    said = []
    for price in prices:
        amount = f"{price.price.normalize():f} {price.currency} per {price.unit}"
        if price.confidence == "user":
            said.append(
                f"the {price.dimension} price of {price.sku}, {amount}, is a user-supplied"
                f" figure ({price.source}): unverified"
            )
    return said
