"""Prices the pieces of a cost model, one by one: nodes, disks, classes of traffic.

A field that ends in _usd holds an amount in the model's currency.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from stackledger.analysis.modelfile import Disk, Network, Node
from stackledger.analysis.pricecatalog import Catalog, Charge, Price
from stackledger.analysis.volumes import volume_type
from stackledger.errors import UsageError

# An "operations" price is for so many I/Os.
_OPERATIONS = 10_000


@dataclass(frozen=True, slots=True)
class PricedNode:
    """A node and its price per month."""

    spec: Node
    monthly_usd: Decimal
    prices: tuple[Price, ...]

    @property
    def overridden(self) -> bool:
        """Whether the price is a monthly_override, which nobody verified."""
        return self.spec.monthly_override > 0


@dataclass(frozen=True, slots=True)
class PricedDisk:
    """A volume, its price per month as three resources, and its limits per second.

    A limit is None where neither the model nor the catalogue gives one. Where
    each I/O is charged too, `operation_usd` is the price of one.
    """

    spec: Disk
    capacity_usd: Decimal
    iops_usd: Decimal
    throughput_usd: Decimal
    iops: int | None
    throughput_bytes: int | None
    prices: tuple[Price, ...]
    operation_usd: Decimal = Decimal(0)

    @property
    def monthly_usd(self) -> Decimal:
        """Return the price per month of the whole volume, without its operations."""
        return self.capacity_usd + self.iops_usd + self.throughput_usd


@dataclass(frozen=True, slots=True)
class PricedNetwork:
    """A class of traffic; `prices` are its sku's tiers, empty for the model's own price."""

    spec: Network
    prices: tuple[Price, ...]

    def cost_usd(self, size_gb: Decimal) -> Decimal:
        """Return what that much traffic costs from the first tier on: 0 for nothing."""
        if self.spec.price_per_gb is not None:
            return self.spec.price_per_gb * size_gb
        return Catalog(self.prices).charge(self.spec.sku, "transfer", size_gb).cost


def price_node(node: Node, catalog: Catalog, hours_per_month: Decimal) -> PricedNode:
    """Return the node with its price: the user's own, else the list's."""
    if node.monthly_override > 0:
        return PricedNode(node, node.monthly_override, ())
    if not node.sku:
        raise UsageError("a node needs a sku or a monthly_override above 0")
    tiers = catalog.tiers(node.sku, "instance")
    if not tiers:
        raise catalog.unknown_sku(node.sku, "instance")
    hours = 1 if tiers[0].unit == "month" else hours_per_month
    return PricedNode(node, tiers[0].price * hours, tuple(tiers))


def price_disk(disk: Disk, catalog: Catalog) -> PricedDisk:
    """Return the disk with the price of its capacity, IOPS and throughput, and its limits.

    A dimension without a price is included in that of the capacity, unless the
    type is one whose performance is ordered: then its price is missing. What
    the type cannot do is a UsageError too.
    """
    if not catalog.tiers(disk.sku, "capacity"):
        raise catalog.unknown_sku(disk.sku, "capacity")
    capacity = catalog.charge(disk.sku, "capacity", disk.size_gb)
    iops, iops_limit = _provisioned(disk.sku, "iops", Decimal(disk.iops), catalog)
    throughput, mib_limit = _provisioned(disk.sku, "throughput", disk.throughput_mbps, catalog)
    ios, size_bytes = int(iops_limit) or None, int(mib_limit * 2**20) or None
    volume = volume_type(disk.sku)
    if volume is not None:
        volume.check(disk.size_gb, disk.iops, disk.throughput_mbps)
        sustained = volume.limits(disk.size_gb, disk.iops, disk.throughput_mbps)
        ios = disk.iops or sustained[0] or ios
        size_bytes = int(disk.throughput_mbps * 2**20) or sustained[1] or size_bytes
    operations = catalog.tiers(disk.sku, "operations")
    return PricedDisk(
        spec=disk,
        capacity_usd=capacity.cost,
        iops_usd=iops.cost,
        throughput_usd=throughput.cost,
        iops=ios,
        throughput_bytes=size_bytes,
        prices=capacity.prices + iops.prices + throughput.prices + tuple(operations),
        operation_usd=operations[0].price / _OPERATIONS if operations else Decimal(0),
    )


def price_network(network: Network, catalog: Catalog) -> PricedNetwork:
    """Return the class with its price: the model's own, else the sku's, tier by tier."""
    if not network.sku:
        return PricedNetwork(network, ())
    tiers = catalog.tiers(network.sku, "transfer")
    if not tiers:
        raise catalog.unknown_sku(network.sku, "transfer")
    return PricedNetwork(network, tuple(tiers))


def _provisioned(
    sku: str, dimension: str, asked: Decimal, catalog: Catalog
) -> tuple[Charge, Decimal]:
    tiers = catalog.tiers(sku, dimension)
    if asked == 0:
        included = tiers[0].tier_end if tiers and tiers[0].price == 0 else None
        return Charge(Decimal(0), ()), included or Decimal(0)
    volume = volume_type(sku)
    if not tiers and volume is not None and asked > volume.free(dimension):
        raise UsageError(
            f"the catalogue has no {dimension} price for sku", sku, hint="give yours: [[price]]"
        )
    return catalog.charge(sku, dimension, asked), asked
