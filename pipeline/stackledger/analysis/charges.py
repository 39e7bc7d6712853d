"""The lines of a bill as a provider would write them: one unit price times one quantity.

A node is one charge (its hours), a volume up to three and more where a price has
tiers, traffic and each shared cost are one each. Requests draw on pools; a charge
knows which pools its money is in, so that what was allocated can be led back to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackledger.analysis.billing import Window
    from stackledger.analysis.costmodel import PricedNetwork, PricedNode
    from stackledger.analysis.modelfile import Shared
    from stackledger.analysis.pricecatalog import Catalog, Price

# Of a quantity: with a price of nine decimals the cost has 24, what a decimal of
# 38 figures holds beside fourteen before the point.
QUANTUM = Decimal("1e-15")
_PRICE_QUANTUM = Decimal("1e-9")
_NS_PER_HOUR = 3_600_000_000_000
_GB = 1024**3


@dataclass(frozen=True, slots=True)
class Charge:
    """One unit price times a quantity, for the window.

    `kind` is node, disk, network or shared; `sku` and `price_id` are None where
    the price is the user's own, `price` then stands in the model at `own`. `shares`
    are the resources that the money is for, each with a weight; `layers` and `name`
    tell their pools apart (`billing.Pool`).
    """

    kind: str
    unit: str
    list_price: Decimal
    price: Decimal
    quantity: Decimal
    consumed_unit: str
    consumed: Decimal
    shares: tuple[tuple[str, Decimal], ...]
    sku: str | None = None
    price_id: str | None = None
    own: str | None = None
    host: str | None = None
    device: str | None = None
    layers: frozenset[str] | None = None
    name: str = ""
    source: Price | None = None


def node_charge(
    node: PricedNode,
    catalog: Catalog,
    hours_per_month: Decimal,
    window: Window,
    *,
    cpu_usd: Decimal,
    memory_usd: Decimal,
) -> Charge:
    """Return the charge of a machine: its hours, or its months at the user's own price."""
    hours = in_hours(window.window_ns)
    months = in_months(Decimal(1), hours, hours_per_month)
    charge = Charge(
        kind="node",
        unit="Hours",
        list_price=Decimal(0),
        price=Decimal(0),
        quantity=whole_grains(hours),
        consumed_unit="Hours",
        consumed=whole_grains(hours),
        shares=(("cpu", cpu_usd), ("memory", memory_usd)),
        sku=node.spec.sku or None,
        host=window.host,
    )
    if node.prices:
        source = node.prices[0]
        price = unit_price(source.price)
        listed = [
            one.price
            for one in catalog.listed(node.spec.sku, "instance")
            if one.unit == source.unit
        ]
        charge = replace(
            charge,
            list_price=unit_price(listed[0]) if listed else price,
            price=price,
            price_id=source.price_id,
            source=source,
        )
        if source.unit == "hour":
            return charge
        return replace(charge, unit="Months", quantity=months)
    # A monthly price has no exact price per hour; the list's has one per month.
    own = unit_price(node.monthly_usd)
    tiers = catalog.listed(node.spec.sku, "instance") if node.spec.sku else []
    listed = [tier.price * (hours_per_month if tier.unit == "hour" else 1) for tier in tiers[:1]]
    return replace(
        charge,
        unit="Months",
        list_price=unit_price(listed[0]) if listed else own,
        price=own,
        quantity=months,
        own=f"node/{node.spec.match.host}",
    )


def network_charges(
    network: PricedNetwork, size_bytes: int, cost_usd: Decimal, name: str
) -> tuple[Charge, ...]:
    """Return the charges of a class of traffic: one, or one per tier of its sku.

    Providers count a GB of traffic as 2^30 bytes. `name` is that of the pool.
    """
    parts: list[tuple[Decimal, int, Price | None]]
    if network.spec.price_per_gb is not None:
        parts = [(network.spec.price_per_gb, size_bytes, None)]
    else:
        parts = [
            (tier.price, _within(size_bytes, tier), tier)
            for tier in network.prices
            if tier is network.prices[0] or _within(size_bytes, tier)
        ]
    charges = []
    for price, amount, tier in parts:
        with localcontext(prec=60):
            quantity = whole_grains(Decimal(amount) / _GB)
        charges.append(
            Charge(
                kind="network",
                unit="GB",
                list_price=unit_price(price),
                price=unit_price(price),
                quantity=quantity,
                consumed_unit="B",
                consumed=Decimal(amount),
                shares=(("network", cost_usd if len(parts) == 1 else price * quantity),),
                own=f"network/{network.spec.class_}",
                sku=network.spec.sku or None,
                price_id=tier.price_id if tier else None,
                name=name,
                source=tier,
            )
        )
    return tuple(charges)


def shared_charge(
    shared: Shared, hours_per_month: Decimal, window_ns: int, cost_usd: Decimal
) -> Charge:
    """Return the charge of a cost that the whole deployment shares."""
    price, hours = unit_price(shared.monthly), in_hours(window_ns)
    return Charge(
        kind="shared",
        unit="Months",
        list_price=price,
        price=price,
        quantity=in_months(Decimal(1), hours, hours_per_month),
        consumed_unit="Hours",
        consumed=whole_grains(hours),
        shares=(("shared", cost_usd),),
        own=f"shared/{shared.name}",
        name=shared.name,
    )


def _within(size_bytes: int, tier: Price) -> int:
    """Return how many of the bytes are in a tier, which is in GB."""
    end = size_bytes if tier.tier_end is None else min(size_bytes, int(tier.tier_end * _GB))
    return max(0, end - int(tier.tier_start * _GB))


def in_hours(window_ns: int) -> Decimal:
    """Return a window in hours."""
    with localcontext(prec=60):
        return Decimal(window_ns) / _NS_PER_HOUR


def in_months(amount: Decimal, hours: Decimal, hours_per_month: Decimal) -> Decimal:
    """Return so much for so many hours, in months."""
    with localcontext(prec=60):
        return whole_grains(amount * hours / hours_per_month)


def whole_grains(quantity: Decimal) -> Decimal:
    """Return a quantity in whole QUANTUM."""
    with localcontext(prec=60):
        return quantity.quantize(QUANTUM, ROUND_HALF_EVEN)


def unit_price(price: Decimal) -> Decimal:
    """Return a unit price with nine decimals."""
    return price.quantize(_PRICE_QUANTUM, ROUND_HALF_EVEN)
