"""What the captured host costs a month by a model, and what a volume of it can do."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from stackledger.analysis.bill import node_of
from stackledger.analysis.volumes import volume_type
from stackledger.analysis.whatif.limiter import Limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackledger.analysis.costmodel import CostModel, PricedDisk, PricedNode


@dataclass(frozen=True, slots=True)
class Priced:
    """The model's node and volumes of one host; `disk` is the one that requests wait for.

    `machine_usd` is its node and volumes a month, `monthly_usd` all there is: as many
    `machines` like it, and the shared costs.
    """

    model: CostModel
    host: str
    node: PricedNode
    disk: PricedDisk | None
    machine_usd: Decimal
    monthly_usd: Decimal
    machines: int = 1

    def instead(self, before: Decimal, after: Decimal) -> Decimal:
        """Return the price of all where a part of every machine has another one."""
        return self.monthly_usd + (after - before) * self.machines

    def of(self, machines: int) -> Decimal:
        """Return the price of all with another number of machines."""
        return self.monthly_usd + self.machine_usd * (machines - self.machines)


def priced(
    model: CostModel,
    host: str,
    devices: Sequence[str],
    busiest: str | None,
    machines: int = 1,
) -> Priced:
    """Return what so many hosts cost: node, a volume per device, and the shared costs once.

    Raises UsageError where the model has no node for it, or two.
    """
    node = node_of(model, host)
    volumes = {device: _volume(model, host, device) for device in devices}
    machine = node.monthly_usd + sum(
        (one.monthly_usd for one in volumes.values() if one is not None), Decimal(0)
    )
    shared = sum((one.monthly for one in model.file.shared), Decimal(0))
    disk = volumes.get(busiest) if busiest else None
    return Priced(model, host, node, disk, machine, machine * machines + shared, machines)


def _volume(model: CostModel, host: str, device: str) -> PricedDisk | None:
    for disk in model.disks:
        match = disk.spec.match
        if fnmatchcase(host, match.host) and fnmatchcase(device, match.device):
            return disk
    return None


def limit_of(disk: PricedDisk | None) -> Limit | None:
    """Return what the volume does a second, None where nothing limits it as far as is known.

    Raises UsageError for an order that its type cannot fill.
    """
    if disk is None:
        return None
    spec = disk.spec
    known = volume_type(spec.sku)
    if known is None:
        ios, size = disk.iops, disk.throughput_bytes
    else:
        ios, size = known.limits(spec.size_gb, spec.iops, spec.throughput_mbps)
    if ios is None and size is None:
        return None
    return Limit(None if ios is None else float(ios), None if size is None else float(size))
