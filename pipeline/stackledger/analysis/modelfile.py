"""The fields of a cost model's file, and what each may hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

Idle = Literal["none", "even", "per_resource_proportional", "peak_weighted"]
Weight = Literal["even", "direct_cost", "requests", "bytes"]

# Above it a window's cost would leave DECIMAL(38, 12); nothing on sale is near it.
_LARGEST = 1_000_000_000


def _require(name: str, value: Decimal | int, *, positive: bool = False) -> None:
    number = Decimal(value)
    if not number.is_finite() or number < 0 or (positive and number == 0):
        raise ValueError(
            f"{name}: must be {'more than 0' if positive else '0 or more'}, not {value}"
        )
    if number > _LARGEST:
        raise ValueError(f"{name}: must be at most {_LARGEST}, not {value}")


class HostMatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hosts by shell pattern: `db-*`."""

    host: str


class DeviceMatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Disks by shell patterns: host and block device."""

    host: str
    device: str


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A machine: its price covers its CPUs and its memory.

    `vcpu` 0 means as many as the captured host has. `speed_index` is the CPU
    speed relative to the model's other nodes. `monthly_override` > 0 is the
    user's net price per month, and wins over the list price of the sku.
    """

    match: HostMatch
    sku: str = ""
    vcpu: int = 0
    memory_gib: Decimal = Decimal(0)
    speed_index: Decimal = Decimal(1)
    monthly_override: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        _require("vcpu", self.vcpu)
        _require("memory_gib", self.memory_gib)
        _require("speed_index", self.speed_index, positive=True)
        _require("monthly_override", self.monthly_override)


class Disk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A volume: `iops` and `throughput_mbps` (MiB/s) are what is provisioned.

    0 means what the sku's price includes.
    """

    match: DeviceMatch
    sku: str
    size_gb: Decimal
    iops: int = 0
    throughput_mbps: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        _require("size_gb", self.size_gb, positive=True)
        _require("iops", self.iops)
        _require("throughput_mbps", self.throughput_mbps)


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Traffic priced by use; `class` names it, prices are per GB of 2^30 bytes."""

    class_: str = msgspec.field(name="class")
    price_per_gb: Decimal
    charged: Literal["in", "out", "both"] = "both"

    def __post_init__(self) -> None:
        _require("price_per_gb", self.price_per_gb)


class Shared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A cost of the whole deployment, split over the endpoints by `weight`."""

    name: str
    monthly: Decimal
    weight: Weight = "direct_cost"

    def __post_init__(self) -> None:
        _require("monthly", self.monthly)


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens to what no request used."""

    idle: Idle = "per_resource_proportional"
    unattributed: Literal["separate"] = "separate"


class ModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model as it is written."""

    schema_: Literal["cost-model/1"] = msgspec.field(name="schema")
    node: tuple[Node, ...]
    currency: Literal["USD"] = "USD"
    hours_per_month: Decimal = Decimal(730)
    disk: tuple[Disk, ...] = ()
    network: tuple[Network, ...] = ()
    shared: tuple[Shared, ...] = ()
    policy: Policy = Policy()

    def __post_init__(self) -> None:
        _require("hours_per_month", self.hours_per_month, positive=True)
        if not self.node:
            raise ValueError("node: at least one is needed")
