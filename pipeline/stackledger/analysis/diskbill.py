"""Prices the disks of a capture: capacity, IOPS and throughput, by layer."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from stackledger.analysis.billing import (
    Bill,
    BillLine,
    Pool,
    SeenDisk,
    Window,
    in_window,
    rounded,
)
from stackledger.analysis.confidence import doubt
from stackledger.analysis.diskcharges import disk_charges, operations_charge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stackledger.analysis.costmodel import CostModel, PricedDisk

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Volume:
    disk: PricedDisk
    window: Window
    device: str
    layers: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Group:
    """The volumes of some layers: their cost and what they can do in the window."""

    layers: frozenset[str] | None
    capacity_usd: Decimal
    iops_usd: Decimal
    throughput_usd: Decimal
    ios: int | None
    size_bytes: int | None
    disks: tuple[PricedDisk, ...]


def add_disks(
    bill: Bill,
    model: CostModel,
    windows: Sequence[Window],
    seen: Sequence[SeenDisk],
    disk_ios: Mapping[str, int],
    unattributed: Mapping[str, int],
) -> None:
    """Add three pools per group of layers, and one item per volume.

    Layers that share a disk share its pools. Use that belongs to no request
    is not known by disk: the groups get it in proportion to their limits.
    """
    volumes = _volumes(bill, model, windows, seen)
    if not volumes:
        if disk_ios:
            bill.warnings.append("the model has no [[disk]] for this capture: disk use is free")
        return
    joined = _joined([volume.layers for volume in volumes], frozenset(disk_ios))
    if joined is None and len(volumes) > 1:
        bill.warnings.append("which layer uses which disk is not known: all disks are one pool")
    parts: list[frozenset[str] | None] = [None] if joined is None else [*joined]
    groups = [_group(volumes, layers, model) for layers in parts]
    ios = split(unattributed.get("disk_ios", 0), [group.ios or 1 for group in groups])
    sizes = split(unattributed.get("disk_bytes", 0), [group.size_bytes or 1 for group in groups])
    for group, unknown_ios, unknown_bytes in zip(groups, ios, sizes, strict=True):
        own = sum(
            n for layer, n in disk_ios.items() if group.layers is None or layer in group.layers
        )
        operations = _operations(bill, group, own + unknown_ios, unknown_ios)
        bill.pools += [
            Pool(
                "disk_capacity",
                group.capacity_usd,
                layers=group.layers,
                whole=True,
                ios_limit=group.ios,
                bytes_limit=group.size_bytes,
            ),
            operations or Pool("disk_iops", group.iops_usd, group.ios, unknown_ios, group.layers),
            Pool(
                "disk_throughput",
                group.throughput_usd,
                group.size_bytes,
                unknown_bytes,
                group.layers,
            ),
        ]
    for volume in volumes:
        item = f"disk {volume.window.host}/{volume.device} ({volume.disk.spec.sku})"
        cost = in_window(volume.disk.monthly_usd, model, volume.window.window_ns)
        mine = next((p for p in parts if p is not None and volume.layers <= p), None)
        charges = disk_charges(
            volume.disk,
            model.file.hours_per_month,
            volume.window,
            volume.device,
            mine,
        )
        bill.lines.append(BillLine(item, volume.disk.monthly_usd, cost, charges))
        bill.prices.extend(volume.disk.prices)
        for resource, monthly in (
            ("disk_capacity", volume.disk.capacity_usd),
            ("disk_iops", volume.disk.iops_usd),
            ("disk_throughput", volume.disk.throughput_usd),
        ):
            share = doubt(volume.disk.prices, resource, model.catalog)
            bill.doubt(resource, in_window(monthly, model, volume.window.window_ns) * share)


def _volumes(
    bill: Bill, model: CostModel, windows: Sequence[Window], seen: Sequence[SeenDisk]
) -> list[_Volume]:
    """Return the volumes on the bill.

    The first [[disk]] that matches a seen disk prices it. One that names its
    device is on the bill even where the capture did not see it; a pattern is
    then only where the capture saw no disk of that host at all.
    """
    volumes = []
    for window in windows:
        layers: dict[str, set[str]] = {}
        for disk in seen:
            if disk.host == window.host:
                layers.setdefault(disk.device, set()).add(disk.layer)
        here = [d for d in model.disks if fnmatchcase(window.host, d.spec.match.host)]
        used = set()
        for device in sorted(layers):
            found = next((d for d in here if fnmatchcase(device, d.spec.match.device)), None)
            if found is None:
                bill.warnings.append(f"no [[disk]] matches {window.host}/{device}: it is free here")
                continue
            used.add(id(found))
            volumes.append(_Volume(found, window, device, frozenset(layers[device]) - {""}))
        for priced in here:
            pattern = priced.spec.match.device
            if id(priced) not in used and (not layers or not set(pattern) & set("*?[")):
                bill.warnings.append(
                    f"the capture saw no disk {window.host}/{pattern}: it is on the bill, "
                    "its layer is unknown"
                )
                volumes.append(_Volume(priced, window, pattern, frozenset()))
    return volumes


def _joined(
    disks: list[frozenset[str]], disk_layers: frozenset[str]
) -> list[frozenset[str]] | None:
    """Return the layers joined by the disks that they share, None where one is unknown."""
    if not all(disks) or not disk_layers <= frozenset().union(*disks):
        return None
    groups: list[frozenset[str]] = []
    for layers in disks:
        touching = [group for group in groups if group & layers]
        groups = [group for group in groups if not group & layers]
        groups.append(layers.union(*touching))
    return groups


def _group(volumes: list[_Volume], layers: frozenset[str] | None, model: CostModel) -> _Group:
    members = [v for v in volumes if layers is None or v.layers <= layers]
    whole = iops = throughput = Decimal(0)
    for volume in members:
        window_ns = volume.window.window_ns
        whole += in_window(volume.disk.monthly_usd, model, window_ns)
        iops += in_window(volume.disk.iops_usd, model, window_ns)
        throughput += in_window(volume.disk.throughput_usd, model, window_ns)
    return _Group(
        layers,
        # The remainder, so that a volume's three resources sum to its price.
        whole - iops - throughput,
        iops,
        throughput,
        _limit((v.disk.iops, v.window.window_ns) for v in members),
        _limit((v.disk.throughput_bytes, v.window.window_ns) for v in members),
        tuple(v.disk for v in members),
    )


def _operations(bill: Bill, group: _Group, ios: int, unknown_ios: int) -> Pool | None:
    """Put the group's I/Os on the bill where each is charged, and return their pool.

    None where none is, or where it is not known which volume did how many: that is said.
    """
    charged = [disk for disk in group.disks if disk.operation_usd]
    if not charged:
        return None
    first = charged[0]
    same = all(disk.spec.sku == first.spec.sku for disk in group.disks)
    if not ios or not same or group.iops_usd:
        why = "none was counted" if not ios else "how many it did of all is not known"
        for sku in dict.fromkeys(disk.spec.sku for disk in charged):
            bill.warnings.append(
                f"each I/O on {sku} is charged besides: not in this bill, for {why}"
            )
        return None
    cost = rounded(first.operation_usd * ios)
    charge = operations_charge(first, ios, group.layers)
    bill.lines.append(BillLine(f"operations ({first.spec.sku})", None, cost, (charge,)))
    return Pool("disk_iops", cost, ios, unknown_ios, group.layers, whole=True, metered=True)


def _limit(limits: Iterable[tuple[int | None, int]]) -> int | None:
    """Return how much the disks can do in their windows, None where one has no limit."""
    total = 0
    for per_second, window_ns in limits:
        if per_second is None:
            return None
        total += max(1, per_second * window_ns // _NS_PER_S)
    return total


def split(use: int, weights: list[int]) -> list[int]:
    """Return whole shares of `use` in proportion to the weights; they sum to it."""
    total, shares, running, before = sum(weights), [], 0, 0
    for weight in weights:
        running += weight
        upto = use * running // total
        shares.append(upto - before)
        before = upto
    return shares
