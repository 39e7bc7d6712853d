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
from stackledger.analysis.charges import network_charges, node_charge, shared_charge
from stackledger.analysis.confidence import doubt
from stackledger.analysis.diskbill import add_disks
from stackledger.analysis.networks import charged
from stackledger.analysis.pricerules import notices
from stackledger.errors import StackledgerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
        tiers = catalog.listed(sku, "instance")
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
    disk_ios: Mapping[str, int],
    unattributed: Mapping[str, int],
    net_bytes: Mapping[int, int],
    tracer_cpu_ns: int = 0,
) -> Bill:
    """Return the bill of the captured hosts over their windows.

    `disk_ios` are the I/Os of the layers that used a disk, `unattributed` the use per
    resource (cpu, disk_ios, disk_bytes, recv_bytes, send_bytes) that belongs to
    no request, the tracer's included; `net_bytes` the requests' charged bytes by
    the class's number.
    """
    bill = Bill()
    _add_nodes(bill, model, windows, unattributed.get("cpu", 0), tracer_cpu_ns)
    add_disks(bill, model, windows, seen, disk_ios, unattributed)
    _add_network(bill, model, net_bytes, unattributed)
    _add_shared(bill, model, windows)
    bill.warnings.extend(
        f"sources disagree on the price of {sku}: the highest is used"
        for sku in sorted({p.sku for p in bill.prices if p.confidence == "conflicting"})
    )
    bill.prices = list(dict.fromkeys(bill.prices))
    bill.warnings.extend(notices(bill.prices))
    return bill


def node_of(model: CostModel, host: str) -> PricedNode:
    """Return the node that names the host, else the one whose pattern matches it."""
    found = [node for node in model.nodes if node.spec.match.host == host]
    found = found or [node for node in model.nodes if fnmatchcase(host, node.spec.match.host)]
    if len(found) == 1:
        return found[0]
    if found:
        patterns = ", ".join(node.spec.match.host for node in found)
        raise UsageError(
            f"{len(found)} [[node]] of the cost model {model.name} match one host",
            f"{host}: {patterns}",
            hint="a host has one price: narrow their match",
        )
    raise UsageError(
        f"no [[node]] of the cost model {model.name} matches host",
        host,
        hint='add one with match = { host = "*" }',
    )


def _add_nodes(
    bill: Bill,
    model: CostModel,
    windows: Sequence[Window],
    unattributed_ns: int,
    tracer_ns: int,
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
        node = node_of(model, window.host)
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
        bill.doubt("cpu", (cost - of_memory) * doubt(node.prices, "cpu", model.catalog))
        bill.doubt("memory", of_memory * doubt(node.prices, "memory", model.catalog))
        kind = node.spec.sku if node.prices else "your price"
        charge = node_charge(
            node,
            model.catalog,
            model.file.hours_per_month,
            window,
            cpu_usd=cost - of_memory,
            memory_usd=of_memory,
        )
        bill.lines.append(
            BillLine(f"node {window.host} ({kind})", node.monthly_usd, cost, (charge,))
        )
        if node.overridden:
            bill.warnings.append(
                f"the price of node {window.host}, {node.monthly_usd} {model.file.currency} per "
                "month, is a "
                "user-supplied figure (monthly_override): unverified"
            )
    if len(speeds) > 1:
        bill.warnings.append("use is not known by host: the nodes' speed_index is not applied")
    # Counted by another clock: the tracer's part is at most all that is unattributed.
    tracer_ns = min(tracer_ns, unattributed_ns)
    bill.pools.append(
        Pool("cpu", cpu_usd, cpu_ns, unattributed_ns - tracer_ns, tracer_use=tracer_ns)
    )
    bill.pools.append(Pool("memory", memory_usd, memory))


def _add_network(
    bill: Bill, model: CostModel, net_bytes: Mapping[int, int], unattributed: Mapping[str, int]
) -> None:
    """Price the traffic of each class by use; what is unattributed has no known address."""
    networks = model.networks
    received, sent = unattributed.get("recv_bytes", 0), unattributed.get("send_bytes", 0)
    if not networks:
        if received or sent or net_bytes:
            bill.warnings.append("the model has no [[network]]: traffic is free")
        return
    rest = next((n for n, network in enumerate(networks) if not network.spec.cidr), None)
    if rest is None:
        rest = max(range(len(networks)), key=lambda n: networks[n].cost_usd(Decimal(1)))
        if received or sent:
            bill.warnings.append(
                "the addresses of unattributed traffic are not known: priced as "
                f"{networks[rest].spec.class_}, the dearest"
            )
    elif len(networks) > rest + 1:
        unused = ", ".join(network.spec.class_ for network in networks[rest + 1 :])
        bill.warnings.append(
            f"{networks[rest].spec.class_} has no cidr and takes all traffic: not used: {unused}"
        )
    for number, network in enumerate(networks):
        own = net_bytes.get(number, 0)
        beside = charged(received, sent, network.spec) if number == rest else 0
        cost = rounded(network.cost_usd(Decimal(own + beside) / GIB))
        bill.pools.append(Pool("network", cost, own + beside, beside, whole=True, name=str(number)))
        charges = network_charges(network, own + beside, cost, str(number))
        bill.lines.append(BillLine(f"network {network.spec.class_}", None, cost, charges))
        bill.prices.extend(network.prices)
        bill.doubt("network", cost * doubt(network.prices, "network", model.catalog))


def _add_shared(bill: Bill, model: CostModel, windows: Sequence[Window]) -> None:
    longest = max(window.window_ns for window in windows)
    for shared in model.file.shared:
        cost = in_window(shared.monthly, model, longest)
        charge = shared_charge(shared, model.file.hours_per_month, longest, cost)
        bill.lines.append(BillLine(f"shared {shared.name}", shared.monthly, cost, (charge,)))
        bill.pools.append(Pool("shared", cost, whole=True, key=shared.weight, name=shared.name))
