"""How much less prices could be on whose amount the sources disagree."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stackledger.analysis.pricecatalog import Catalog, Price

# What a bill's resources are called in the catalogue.
DIMENSIONS = {
    "disk_capacity": "capacity",
    "disk_iops": "iops",
    "disk_throughput": "throughput",
    "network": "transfer",
    "cpu": "instance",
    "memory": "instance",
}


def doubt(prices: Iterable[Price], resource: str, catalog: Catalog) -> Decimal:
    """Return which share of a resource's cost the lowest price would take away, 0 to 1.

    The highest price is the one that is used, so a cost is at most what it
    says. Of several tiers the one that is most in doubt counts: a bound.
    """
    shares = [Decimal(0)]
    for price in prices:
        if price.confidence != "conflicting" or price.dimension != DIMENSIONS[resource]:
            continue
        told = [
            other.price
            for other in catalog.prices
            if (other.sku, other.dimension, other.tier_start)
            == (price.sku, price.dimension, price.tier_start)
        ]
        if price.price:
            shares.append(1 - min(told, default=price.price) / price.price)
    return max(shares)
