"""Writes the bill of a capture: what the captured hosts cost in their windows."""

from __future__ import annotations

from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from stackledger.analysis.billing import (
    GIB,
    Bill,
    BillLine,
    Pool,
    SeenDisk,
    Window,
    in_window,
    rounded,
)
from stackledger.analysis.diskbill import add_disks
from stackledger.errors import StackledgerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackledger.analysis.costmodel import CostModel, PricedNode
    from stackledger.analysis.pricecatalog import Catalog

# One size of three families that differ in memory only: (vCPU, GiB).
REFERENCE_SHAPES = {
    "aws/us-east-1/c7i.large": (2, 4),
    "aws/us-east-1/m7i.large": (2, 8),
    "aws/us-east-1/r6i.large": (2, 16),
}


def unit_prices(catalog: Catalog) -> tuple[Decimal, Decimal]:
    """Return USD per vCPU-hour and per GiB-hour: least squares over REFERENCE_SHAPES.

    Solves price = a * vCPU + b * GiB. Only the ratio is used: it says which
    part of any node's price its memory is.
    """
    cpu2 = both = mem2 = Decimal(0)
    cpu_price = mem_price = Decimal(0)
    for sku, (cpu, mem) in REFERENCE_SHAPES.items():
        tiers = catalog.tiers(sku, "instance")
        if not tiers:
            raise StackledgerError("the catalogue lacks the price that splits CPU and memory", sku)
        price = tiers[0].price
        cpu2, both, mem2 = cpu2 + cpu * cpu, both + cpu * mem, mem2 + mem * mem
        cpu_price, mem_price = cpu_price + cpu * price, mem_price + mem * price
    determinant = cpu2 * mem2 - both * both
    per_vcpu = (cpu_price * mem2 - mem_price * both) / determinant
    per_gib = (mem_price * cpu2 - cpu_price * both) / determinant
    return per_vcpu, per_gib


def make_bill(
    model: CostModel,
    windows: Sequence[Window],
    seen: Sequence[SeenDisk],
    disk_layers: frozenset[str],
    unattributed: dict[str, int],
    net_bytes: int,
) -> Bill:
    """Return the bill of the captured hosts over their windows.

    `disk_layers` are the layers that used a disk, `unattributed` the use per
    resource (cpu, disk_ios, disk_bytes, net_bytes) that belongs to no request,
    `net_bytes` all priced traffic, the unattributed included.
    """
    bill = Bill()
    _add_nodes(bill, model, windows, unattributed)
    add_disks(bill, model, windows, seen, disk_layers, unattributed)
    _add_network(bill, model, net_bytes, unattributed)
    _add_shared(bill, model, windows)
    bill.warnings.extend(
        f"sources disagree on the price of {sku}: the highest is used"
        for sku in sorted({p.sku for p in bill.prices if p.confidence == "conflicting"})
    )
    bill.prices = list(dict.fromkeys(bill.prices))
    return bill


def _node_of(model: CostModel, host: str) -> PricedNode:
    for node in model.nodes:
        if fnmatchcase(host, node.spec.match.host):
            return node
    raise UsageError(
        f"no [[node]] of the cost model {model.name} matches host",
        host,
        hint='add one with match = { host = "*" }',
    )


def _add_nodes(
    bill: Bill, model: CostModel, windows: Sequence[Window], unattributed: dict[str, int]
) -> None:
    """Price every host, its price split into CPU and memory by `unit_prices`.

    A speed index scales use and capacity alike, so that with all CPUs in one
    pool it cancels; it matters where nodes of several speeds meet.
    """
    per_vcpu, per_gib = unit_prices(model.catalog)
    cpu_usd = memory_usd = Decimal(0)
    cpu_ns = memory = 0
    speeds = set()
    for window in windows:
        node = _node_of(model, window.host)
        vcpu = node.spec.vcpu or window.cpus
        if vcpu != window.cpus:
            bill.warnings.append(
                f"host {window.host} has {window.cpus} CPUs, the model's node {vcpu}: "
                "the model's count is the capacity"
            )
        cost = in_window(node.monthly_usd, model, window.window_ns)
        by_cpu, by_memory = per_vcpu * vcpu, per_gib * node.spec.memory_gib
        of_memory = rounded(cost * by_memory / (by_cpu + by_memory))
        cpu_usd, memory_usd = cpu_usd + cost - of_memory, memory_usd + of_memory
        cpu_ns += vcpu * window.window_ns
        memory += int(node.spec.memory_gib * GIB) * window.window_ns
        speeds.add(node.spec.speed_index)
        bill.prices.extend(node.prices)
        kind = node.spec.sku if node.prices else "your price"
        bill.lines.append(BillLine(f"node {window.host} ({kind})", node.monthly_usd, cost))
        if node.overridden:
            bill.warnings.append(
                f"the price of node {window.host}, {node.monthly_usd} USD per month, is a "
                "user-supplied figure (monthly_override): unverified"
            )
    if len(speeds) > 1:
        bill.warnings.append("use is not known by host: the nodes' speed_index is not applied")
    bill.pools.append(Pool("cpu", cpu_usd, cpu_ns, unattributed.get("cpu", 0)))
    bill.pools.append(Pool("memory", memory_usd, memory))


def _add_network(
    bill: Bill, model: CostModel, net_bytes: int, unattributed: dict[str, int]
) -> None:
    """Price the traffic by use, by the model's first class: a capture knows no other."""
    if not model.file.network:
        if net_bytes:
            bill.warnings.append("the model has no [[network]]: traffic is free")
        return
    first, *others = model.file.network
    if others and net_bytes:
        unused = ", ".join(network.class_ for network in others)
        bill.warnings.append(f"all traffic is priced as {first.class_}; not used: {unused}")
    if first.charged != "both" and net_bytes:
        bill.warnings.append(
            f"{first.class_} charges one direction, both are priced: an upper bound"
        )
    cost = rounded(first.price_per_gb * net_bytes / GIB)
    unknown = unattributed.get("net_bytes", 0)
    bill.pools.append(Pool("network", cost, net_bytes, unknown, whole=True))
    bill.lines.append(BillLine(f"network {first.class_}", None, cost))


def _add_shared(bill: Bill, model: CostModel, windows: Sequence[Window]) -> None:
    longest = max(window.window_ns for window in windows)
    for shared in model.file.shared:
        cost = in_window(shared.monthly, model, longest)
        bill.lines.append(BillLine(f"shared {shared.name}", shared.monthly, cost))
        bill.pools.append(Pool("shared", cost, whole=True, key=shared.weight))
