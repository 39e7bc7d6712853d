"""The charges of volumes: what is provisioned by dimension and tier, and what each I/O costs."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import TYPE_CHECKING

from stackledger.analysis.charges import Charge, in_hours, in_months, unit_price, whole_grains

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackledger.analysis.billing import Window
    from stackledger.analysis.costmodel import PricedDisk
    from stackledger.analysis.pricecatalog import Price

_UNITS = {
    "hour": ("Hours", "Hours"),
    "GB-month": ("GB-Months", "GB-Hours"),
    "IOPS-month": ("IOPS-Months", "IOPS-Hours"),
    "MBps-month": ("MBps-Months", "MBps-Hours"),
}


def disk_charges(
    disk: PricedDisk,
    hours_per_month: Decimal,
    window: Window,
    device: str,
    layers: frozenset[str] | None,
) -> tuple[Charge, ...]:
    """Return the charges of a volume: one per dimension and tier that costs anything."""
    hours = in_hours(window.window_ns)
    charges = []
    for dimension, amount, monthly_usd in (
        ("capacity", disk.spec.size_gb, disk.capacity_usd),
        ("iops", Decimal(disk.spec.iops), disk.iops_usd),
        ("throughput", disk.spec.throughput_mbps, disk.throughput_usd),
    ):
        if not monthly_usd:
            continue
        tiers = [price for price in disk.prices if price.dimension == dimension]
        parts = _in_tiers(amount, tiers)
        bands = sum((tier.price * part for tier, part in parts), Decimal(0)) == monthly_usd
        if not bands or any(tier.unit not in _UNITS for tier, _ in parts):
            # A volume sold by its size has one price for all of it.
            bands, parts = False, [(tiers[-1], Decimal(1))]
        for tier, part in parts:
            unit, consumed_unit = _UNITS[tier.unit] if bands else ("Months", "Hours")
            price = unit_price(tier.price if bands else monthly_usd)
            charges.append(
                Charge(
                    kind="disk",
                    unit=unit,
                    list_price=price,
                    price=price,
                    quantity=in_months(part, hours, hours_per_month),
                    consumed_unit=consumed_unit,
                    consumed=whole_grains(part * hours),
                    shares=((f"disk_{dimension}", price * part),),
                    sku=disk.spec.sku,
                    price_id=tier.price_id,
                    host=window.host,
                    device=device,
                    layers=layers,
                    source=tier,
                )
            )
    return tuple(charges)


def operations_charge(disk: PricedDisk, ios: int, layers: frozenset[str] | None) -> Charge:
    """Return the charge of so many I/Os on volumes of one type, whose tier prices 10,000."""
    tier = next(price for price in disk.prices if price.dimension == "operations")
    with localcontext(prec=60):
        quantity = whole_grains(Decimal(ios) / 10_000)
    return Charge(
        kind="disk",
        unit="10000 Operations",
        list_price=unit_price(tier.price),
        price=unit_price(tier.price),
        quantity=quantity,
        consumed_unit="Operations",
        consumed=Decimal(ios),
        shares=(("disk_iops", Decimal(1)),),
        sku=disk.spec.sku,
        price_id=tier.price_id,
        layers=layers,
        source=tier,
    )


def _in_tiers(amount: Decimal, tiers: Sequence[Price]) -> list[tuple[Price, Decimal]]:
    """Return the part of an amount that is in each tier with a price."""
    return [
        (tier, min(amount, tier.tier_end or amount) - tier.tier_start)
        for tier in tiers
        if amount > tier.tier_start and tier.price
    ]
