"""Shows price lists: each sku with its prices, their dates, and what a volume can do."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from stackledger.diagnostics import printable
from stackledger.report.format import count, money

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from stackledger.analysis.pricecatalog import Price
    from stackledger.analysis.pricelist import Offer
    from stackledger.analysis.volumes import Limit, VolumeType

COLUMNS = (
    "sku",
    "tier",
    "dimension",
    "unit",
    "tier_start",
    "tier_end",
    "price",
    "currency",
    "confidence",
    "source_date",
    "source",
)
LIMIT_COLUMNS = (
    "sku",
    "tier",
    "size_max_gib",
    "provisioned",
    *(f"iops_{part}" for part in ("included", "per_gib", "max", "max_per_gib", "burst")),
    *(f"throughput_{part}_bytes" for part in ("included", "per_gib", "per_iops", "max", "burst")),
    "confidence",
    "source_date",
    "source",
)
_MIB = 2**20
_WIDTH = 80
_INDENT = 14


def text(offers: Sequence[Offer]) -> str:
    """Return the list for people: a block per sku, 80 columns wide."""
    return "\n".join(line for offer in offers for line in _block(offer)) + "\n"


def rows(offers: Sequence[Offer]) -> list[list[Any]]:
    """Return one row per price, by COLUMNS: amounts exact, NULL for no end."""
    return [
        [
            price.sku,
            offer.volume.tier if offer.volume else None,
            price.dimension,
            price.unit,
            price.tier_start,
            price.tier_end,
            price.price,
            price.currency,
            price.confidence,
            price.source_date,
            price.source,
        ]
        for offer in offers
        for price in offer.prices
    ]


def limit_rows(offers: Sequence[Offer]) -> list[list[Any]]:
    """Return one row per volume type, by LIMIT_COLUMNS; throughput in bytes per second."""
    found = []
    for volume in (offer.volume for offer in offers):
        if volume is None:
            continue
        iops, rate = volume.iops, volume.throughput
        orders = [n for n, limit in (("iops", iops), ("throughput", rate)) if limit.provisioned]
        found.append(
            [
                volume.sku,
                volume.tier,
                volume.size_max_gib,
                " ".join(orders),
                *(iops.included, iops.per_gib, iops.most, iops.most_per_gib, iops.burst),
                *(rate.included, rate.per_gib, volume.throughput_per_iops, rate.most, rate.burst),
                volume.confidence,
                volume.source_date,
                volume.source,
            ]
        )
    return found


def _block(offer: Offer) -> list[str]:
    tier = offer.volume.tier if offer.volume else ""
    name = printable(offer.sku)
    lines = [f"{name:<{_WIDTH - 10}}{tier:>10}".rstrip()]
    lines += [_price(price) for price in offer.prices]
    if not offer.prices:
        lines.append("  no price in the catalogue; a model can bring its own: [[price]]")
    if offer.volume:
        lines += _limits(offer.volume)
    return lines


def _price(price: Price) -> str:
    amount = f"{_exact(price.price, price.currency)} per {price.unit}"
    if price.unit == "disk-month" and price.tier_end is not None:
        amount += f" of {count(price.tier_end)} GiB"
    elif price.tier_end is not None or price.tier_start:
        end = f" to {count(price.tier_end)}" if price.tier_end is not None else ""
        amount += f", {'from ' if not end else ''}{count(price.tier_start)}{end}"
    dated = f"{price.confidence} {price.source_date}"
    return f"  {price.dimension:<{_INDENT - 2}}{amount:<{_WIDTH - _INDENT - 22}}{dated:>22}"


def _exact(price: Decimal, currency: str) -> str:
    exponent = price.normalize().as_tuple().exponent
    return money(price, currency, max(2, -exponent if isinstance(exponent, int) else 2))


def _limits(volume: VolumeType) -> list[str]:
    told = [_words(volume.iops, 1, "IOPS"), _words(volume.throughput, _MIB, "MiB/s")]
    if volume.throughput_per_iops is not None:
        told.append(f"{_number(volume.throughput_per_iops / _MIB)} MiB/s per IOPS")
    if volume.size_max_gib is not None:
        told.append(f"at most {_number(volume.size_max_gib)} GiB")
    told.append(f"({volume.confidence} {volume.source_date})")
    return textwrap.wrap(
        "; ".join(one for one in told if one).replace("; (", " ("),
        _WIDTH,
        initial_indent=f"  {'limits':<{_INDENT - 2}}",
        subsequent_indent=" " * _INDENT,
    )


def _words(limit: Limit, unit: int, name: str) -> str:
    said = [
        f"{_number(value / unit)} {words}"
        for value, words in (
            (limit.included, "included" if limit.provisioned else "at least"),
            (limit.per_gib, "per GiB"),
        )
        if value is not None
    ]
    if limit.most is not None and limit.most != limit.included:
        said.append(f"at most {_number(limit.most / unit)}")
    elif limit.included is not None and not limit.provisioned:
        said = [_number(limit.included / unit)]
    if limit.most_per_gib is not None:
        said.append(f"{_number(limit.most_per_gib / unit)} per GiB")
    if limit.burst is not None:
        said.append(f"in bursts {_number(limit.burst / unit)}")
    return f"{name} {', '.join(said)}" if said else ""


def _number(value: Decimal) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
