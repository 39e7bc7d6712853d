"""The price catalogue: dated, sourced list prices, one CSV per provider and region.

A price holds for one dimension of a sku (the hour of an instance, the GB-month
of a volume, an IOPS above those included) and for one tier of the quantity.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from stackledger import resources
from stackledger.analysis import catalogfile
from stackledger.analysis.catalogfile import amount
from stackledger.errors import StackledgerError, UsageError, nearest

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = (
    "price_id",
    "provider",
    "region",
    "sku",
    "dimension",
    "unit",
    "tier_start",
    "tier_end",
    "price",
    "currency",
    "purchase_option",
    "source",
    "source_date",
    "confidence",
)
# What can be priced, and by which units. A volume sold by the size step costs
# its price whatever part of the step is used: the tier's end is that size.
UNITS = {
    "instance": ("hour", "month"),
    "capacity": ("GB-month", "disk-month"),
    "iops": ("IOPS-month",),
    "throughput": ("MBps-month",),
    "operations": ("10000-operations",),
    "transfer": ("GB",),
    "gateway": ("hour",),
    "lcu": ("LCU-hour",),
}
FLAT_UNIT = "disk-month"


@dataclass(frozen=True, slots=True)
class Price:
    """One tier of one dimension of a sku; `sku` is provider/region/name.

    `confidence` is verified, secondary or conflicting, and "user" for a price
    that a cost model brings along.
    """

    price_id: str
    sku: str
    dimension: str
    unit: str
    tier_start: Decimal
    tier_end: Decimal | None
    price: Decimal
    currency: str
    source: str
    source_date: date
    confidence: str


@dataclass(frozen=True, slots=True)
class Charge:
    """What a quantity costs per unit of time, and the prices that say so."""

    cost: Decimal
    prices: tuple[Price, ...]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every known price: those of the lists, and `own`, which a cost model brings along."""

    prices: tuple[Price, ...]
    own: tuple[Price, ...] = ()

    def skus(self, dimension: str) -> list[str]:
        """Return the skus that have a price in this dimension, sorted."""
        return sorted({p.sku for p in (*self.own, *self.prices) if p.dimension == dimension})

    def tiers(self, sku: str, dimension: str) -> list[Price]:
        """Return the prices of one dimension by tier, empty where it has none.

        The model's own prices win over all that the lists hold for it.
        """
        own = [p for p in self.own if (p.sku, p.dimension) == (sku, dimension)]
        return own or self.listed(sku, dimension)

    def listed(self, sku: str, dimension: str) -> list[Price]:
        """Return the list prices of one dimension by tier, empty where there are none.

        Sources that disagree give several prices for one tier: the highest
        wins, so that an estimate made with them is an upper one.
        """
        tiers: dict[Decimal, Price] = {}
        for price in self.prices:
            if (price.sku, price.dimension) == (sku, dimension):
                known = tiers.get(price.tier_start)
                if known is None or price.price > known.price:
                    tiers[price.tier_start] = price
        return [tiers[start] for start in sorted(tiers)]

    def charge(self, sku: str, dimension: str, quantity: Decimal) -> Charge:
        """Return the cost of `quantity`, tier by tier.

        A quantity beyond the last tier is a UsageError: the provider does not
        sell it, or the catalogue does not know its price.
        """
        tiers = self.tiers(sku, dimension)
        used = tuple(tier for tier in tiers if tier.tier_start < quantity) or tuple(tiers[:1])
        if used and used[-1].tier_end is not None and quantity > used[-1].tier_end:
            raise UsageError(f"{sku} has no {dimension} price above {used[-1].tier_end}", quantity)
        if used and used[-1].unit == FLAT_UNIT:
            return Charge(used[-1].price, used[-1:])
        cost = sum(
            (
                (min(quantity, tier.tier_end or quantity) - tier.tier_start) * tier.price
                for tier in used
                if quantity > tier.tier_start
            ),
            Decimal(0),
        )
        return Charge(cost, used)

    def unknown_sku(self, sku: str, dimension: str) -> UsageError:
        """Return the error for a sku that has no price in this dimension."""
        known = self.skus(dimension)
        hint = nearest(sku, known) or f"accepted: {', '.join(known)}"
        return UsageError(f"no {dimension} price in the catalogue for sku", sku, hint=hint)


def _price(row: dict[str, str]) -> Price:
    price, start = amount(row["price"]), amount(row["tier_start"])
    end = amount(row["tier_end"])
    if price is None or start is None:
        raise ValueError("price and tier_start must not be empty")
    if end is not None and end <= start:
        raise ValueError("tier_end must be more than tier_start")
    if row["unit"] not in UNITS.get(row["dimension"], ()):
        raise ValueError(f"no such dimension and unit: {row['dimension']} by the {row['unit']}")
    return Price(
        price_id=row["price_id"],
        sku=f"{row['provider']}/{row['region']}/{row['sku']}",
        dimension=row["dimension"],
        unit=row["unit"],
        tier_start=start,
        tier_end=end,
        price=price,
        currency=row["currency"],
        source=row["source"],
        source_date=date.fromisoformat(row["source_date"]),
        confidence=catalogfile.confidence(row["confidence"]),
    )


def load_catalog(folder: Path | None = None) -> Catalog:
    """Return the prices of every CSV in `folder`, by default the packaged ones."""
    base = folder or resources.folder("costmodels") / "catalog"
    prices = tuple(
        price
        for path in sorted(base.glob("*.csv"))
        for price in catalogfile.read(path, COLUMNS, _price, "a price")
    )
    if not prices:
        raise StackledgerError("the price catalogue is empty", base)
    return Catalog(prices)
