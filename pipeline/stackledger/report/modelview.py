"""Shows a validated cost model: what each piece costs per month, and how sure that is."""

from __future__ import annotations

import textwrap
from decimal import Decimal
from typing import TYPE_CHECKING

from stackledger.diagnostics import printable
from stackledger.report.format import NO_VALUE, count, money, size

if TYPE_CHECKING:
    from stackledger.analysis.costmodel import CostModel, PricedDisk
    from stackledger.analysis.pricecatalog import Price


def text(model: CostModel) -> str:
    """Return the model's pieces, their sum per month, and the age of its prices."""
    currency = model.file.currency
    lines = [f"{printable(str(model.path))}: valid"]
    total = Decimal(0)
    for node in model.nodes:
        name = node.spec.sku if not node.overridden else "your price"
        lines.append(_line(f"node {node.spec.match.host} ({name})", node.monthly_usd, currency))
        total += node.monthly_usd
    for disk in model.disks:
        match = disk.spec.match
        name = f"disk {match.host}/{match.device} ({disk.spec.sku})"
        lines += [_line(name, disk.monthly_usd, currency), f"  {_limits(disk)}"]
        total += disk.monthly_usd
    for shared in model.file.shared:
        lines.append(_line(f"shared {shared.name}", shared.monthly, currency))
        total += shared.monthly
    lines.append(_line("one of each, per month", total, currency))
    for network in model.networks:
        spec = network.spec
        price = spec.price_per_gb if spec.price_per_gb is not None else network.prices[0].price
        tiers = f", {count(len(network.prices))} tiers" if len(network.prices) > 1 else ""
        lines += textwrap.wrap(
            f"network {printable(spec.class_)}: {money(price, currency)} per GB {spec.charged}"
            f"{tiers}; {', '.join(spec.cidr) or 'every other address'}",
            80,
            subsequent_indent="  ",
        )
    return "\n".join([*lines, *_dated(model)]) + "\n"


def _line(name: str, amount: Decimal, currency: str) -> str:
    shown = printable(name)
    if len(shown) > 62:
        shown = f"{shown[:61]}…"
    return f"{shown:<62}  {money(amount, currency):>16}"


def _limits(disk: PricedDisk) -> str:
    rate = f"{size(disk.throughput_bytes)}/s" if disk.throughput_bytes else NO_VALUE
    return f"limits: {count(disk.iops)} IOPS, {rate}"


def _dated(model: CostModel) -> list[str]:
    used: list[Price] = []
    for pieces in (model.nodes, model.disks, model.networks):
        for piece in pieces:
            used += piece.prices
    listed = [price for price in used if price.confidence != "user"]
    lines = []
    if listed:
        grades = ", ".join(sorted({price.confidence for price in listed}))
        oldest = min(price.source_date for price in listed)
        lines.append(f"list prices: {grades}, the oldest of {oldest}")
    own = {price.sku for price in used if price.confidence == "user"}
    own |= {f"node {node.spec.match.host}" for node in model.nodes if node.overridden}
    if own:
        lines.append(f"your own prices, unverified: {printable(', '.join(sorted(own)))}")
    return lines
