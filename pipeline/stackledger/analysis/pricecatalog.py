"""The price catalogue: dated, sourced list prices, one CSV per provider and region.

A price holds for one dimension of a sku (the hour of an instance, the GB-month
of a volume, an IOPS above those included) and for one tier of the quantity.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from stackledger import resources
from stackledger.errors import StackledgerError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable
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
CONFIDENCES = ("verified", "secondary", "conflicting")


@dataclass(frozen=True, slots=True)
class Price:
    """One tier of one dimension of a sku; `sku` is provider/region/name."""

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
    """Every known price."""

    prices: tuple[Price, ...]

    def skus(self, dimension: str) -> list[str]:
        """Return the skus that have a price in this dimension, sorted."""
        return sorted({p.sku for p in self.prices if p.dimension == dimension})

    def tiers(self, sku: str, dimension: str) -> list[Price]:
        """Return the prices of one dimension by tier, empty where it has none.

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
    amounts = [Decimal(row[name]) for name in ("tier_start", "price")]
    tier_end = Decimal(row["tier_end"]) if row["tier_end"] else None
    if not all(amount.is_finite() and amount >= 0 for amount in (*amounts, tier_end or amounts[0])):
        raise ValueError("a price and its tiers must not be negative")
    if tier_end is not None and tier_end <= amounts[0]:
        raise ValueError("tier_end must be more than tier_start")
    if row["confidence"] not in CONFIDENCES:
        raise ValueError(f"confidence must be one of {', '.join(CONFIDENCES)}")
    return Price(
        price_id=row["price_id"],
        sku=f"{row['provider']}/{row['region']}/{row['sku']}",
        dimension=row["dimension"],
        unit=row["unit"],
        tier_start=amounts[0],
        tier_end=tier_end,
        price=amounts[1],
        currency=row["currency"],
        source=row["source"],
        source_date=date.fromisoformat(row["source_date"]),
        confidence=row["confidence"],
    )


def _read(path: Path) -> Iterable[Price]:
    with path.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines, strict=True)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise UsageError(
                "the price catalogue has the wrong columns",
                f"{path}:1",
                hint=f"accepted: {','.join(COLUMNS)}",
            )
        try:
            for row in reader:
                if None in row or None in row.values():
                    raise ValueError(f"expected {len(COLUMNS)} fields")
                yield _price(row)
        except InvalidOperation:
            raise UsageError(
                "a price in the catalogue is not a decimal number", f"{path}:{reader.line_num}"
            ) from None
        except (ValueError, csv.Error) as failure:
            raise UsageError(
                "a price in the catalogue is wrong", f"{path}:{reader.line_num}: {failure}"
            ) from None


def load_catalog(folder: Path | None = None) -> Catalog:
    """Return the prices of every CSV in `folder`, by default the packaged ones."""
    base = folder or resources.folder("costmodels") / "catalog"
    try:
        prices = tuple(price for path in sorted(base.glob("*.csv")) for price in _read(path))
    except (OSError, UnicodeDecodeError) as failure:
        raise StackledgerError("cannot read the price catalogue", failure) from None
    if not prices:
        raise StackledgerError("the price catalogue is empty", base)
    return Catalog(prices)
