"""The fields of a cost model's file, what each means and what it may hold.

The descriptions are those of the JSON Schema that editors show.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from ipaddress import ip_network
from itertools import pairwise
from typing import Annotated, Any, Literal

import msgspec

from stackledger.analysis.pricecatalog import UNITS

Idle = Literal["none", "even", "per_resource_proportional", "peak_weighted"]
Weight = Literal["even", "direct_cost", "requests", "bytes"]
Dimension = Literal[
    "instance", "capacity", "iops", "throughput", "operations", "transfer", "gateway", "lcu"
]

# Above it a window's cost would leave DECIMAL(38, 12); nothing on sale is near it.
_LARGEST = 1_000_000_000


def _about(description: str, **rules: Any) -> msgspec.Meta:
    return msgspec.Meta(description=description, extra_json_schema=rules or None)


def _require(name: str, value: Decimal | int, *, positive: bool = False) -> None:
    number = Decimal(value)
    if not number.is_finite() or number < 0 or (positive and number == 0):
        raise ValueError(
            f"{name}: must be {'more than 0' if positive else '0 or more'}, not {value}"
        )
    if number > _LARGEST:
        raise ValueError(f"{name}: must be at most {_LARGEST}, not {value}")


def _require_text(name: str, value: str) -> None:
    if not value.strip() or not value.isprintable():
        raise ValueError(f"{name}: must be a text of printable characters")


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class HostMatch(_Table, frozen=True):
    """Hosts by shell pattern."""

    host: Annotated[str, _about("The host's name, or a pattern: db-*. The first rule wins.")]


class DeviceMatch(_Table, frozen=True):
    """Disks by shell patterns."""

    host: Annotated[str, _about("The host's name, or a pattern: db-*.")]
    device: Annotated[str, _about("The block device, or a pattern: nvme1n1, sd*.")]


class Node(_Table, frozen=True):
    """A machine: its price covers its CPUs and its memory."""

    match: Annotated[HostMatch, _about("Which hosts this is the price of.")]
    sku: Annotated[str, _about("What it is in the catalogue: aws/us-east-1/m6i.large.")] = ""
    vcpu: Annotated[int, _about("Its CPUs; 0: as many as the captured host has.", minimum=0)] = 0
    memory_gib: Annotated[Decimal, _about("Its memory in GiB.", minimum=0)] = Decimal(0)
    speed_index: Annotated[
        Decimal,
        _about("CPU speed relative to the model's other nodes.", exclusiveMinimum=0),
    ] = Decimal(1)
    monthly_override: Annotated[
        Decimal,
        _about("More than 0: your net price per month, which wins over the list.", minimum=0),
    ] = Decimal(0)

    def __post_init__(self) -> None:
        _require("vcpu", self.vcpu)
        _require("memory_gib", self.memory_gib)
        _require("speed_index", self.speed_index, positive=True)
        _require("monthly_override", self.monthly_override)


class Disk(_Table, frozen=True):
    """A volume: what is provisioned, 0 for what the sku's price includes."""

    match: Annotated[DeviceMatch, _about("Which disks this is the price of.")]
    sku: Annotated[str, _about("What it is in the catalogue: aws/us-east-1/gp3.")]
    size_gb: Annotated[Decimal, _about("Its size in GiB.", exclusiveMinimum=0)]
    iops: Annotated[int, _about("IOPS provisioned; 0: those included.", minimum=0)] = 0
    throughput_mbps: Annotated[
        Decimal, _about("MiB/s provisioned; 0: what is included.", minimum=0)
    ] = Decimal(0)

    def __post_init__(self) -> None:
        _require("size_gb", self.size_gb, positive=True)
        _require("iops", self.iops)
        _require("throughput_mbps", self.throughput_mbps)


class Network(_Table, frozen=True):
    """Traffic priced by use, per GB of 2^30 bytes, by the address of the other end.

    The first class that holds the address wins; one without blocks holds all
    that the classes before it do not.
    """

    class_: Annotated[str, _about("The name of the class: cross_zone, internet.")] = msgspec.field(
        name="class"
    )
    price_per_gb: Annotated[
        Decimal | None, _about("Your price per GB; or else give a sku.", minimum=0)
    ] = None
    charged: Annotated[
        Literal["in", "out", "both"], _about("The direction that is charged, seen from the host.")
    ] = "both"
    cidr: Annotated[
        tuple[str, ...], _about('Blocks of addresses: ["10.0.0.0/8"]; empty: every other address.')
    ] = ()
    sku: Annotated[
        str, _about("A transfer price of the catalogue, by tiers: aws/us-east-1/internet-egress.")
    ] = ""

    def __post_init__(self) -> None:
        _require_text("class", self.class_)
        if (self.price_per_gb is None) == (not self.sku):
            raise ValueError("price_per_gb: either this or sku is needed, not both")
        if self.price_per_gb is not None:
            _require("price_per_gb", self.price_per_gb)
        for block in self.cidr:
            try:
                ip_network(block)
            except ValueError as fault:
                raise ValueError(f"cidr: {fault}; write 10.0.0.0/8 or fd00::/8") from None


class Shared(_Table, frozen=True):
    """A cost of the whole deployment, split over the endpoints by `weight`."""

    name: Annotated[str, _about("What it is: control plane.")]
    monthly: Annotated[Decimal, _about("Its price per month.", minimum=0)]
    weight: Annotated[Weight, _about("What it is split by.")] = "direct_cost"

    def __post_init__(self) -> None:
        _require("monthly", self.monthly)


class Tier(_Table, frozen=True):
    """A price up to a quantity, from the end of the tier before."""

    price: Annotated[Decimal, _about("Price per unit in this tier.", minimum=0)]
    upto: Annotated[
        Decimal | None, _about("Where the tier ends; none: it does not end.", exclusiveMinimum=0)
    ] = None

    def __post_init__(self) -> None:
        _require("price", self.price)
        if self.upto is not None:
            _require("upto", self.upto, positive=True)


class OwnPrice(_Table, frozen=True):
    """A price of your own: negotiated, or of what the catalogue does not hold.

    It replaces every price that the catalogue has for this sku and dimension,
    in this model alone. Nobody verified it, and every report says so.
    """

    sku: Annotated[str, _about("A sku of the catalogue, or a name of your own: onprem/rack-7/ssd.")]
    dimension: Annotated[Dimension, _about("What of the sku is priced.")]
    date: Annotated[dt.date, _about("The day from which it holds, or was agreed.")]
    reason: Annotated[str, _about("Where it comes from: a contract, a quotation, a calculation.")]
    price: Annotated[Decimal | None, _about("Price per unit; or else give tiers.", minimum=0)] = (
        None
    )
    tiers: Annotated[tuple[Tier, ...], _about("Prices by quantity, in ascending order.")] = ()
    unit: Annotated[
        str,
        _about(
            "Default: the dimension's first unit.",
            enum=["", *dict.fromkeys(unit for units in UNITS.values() for unit in units)],
        ),
    ] = ""

    def __post_init__(self) -> None:
        _require_text("sku", self.sku)
        _require_text("reason", self.reason)
        if self.unit and self.unit not in UNITS[self.dimension]:
            accepted = ", ".join(UNITS[self.dimension])
            raise ValueError(f"unit: {self.dimension} is priced by: {accepted}, not {self.unit}")
        if (self.price is None) == (not self.tiers):
            raise ValueError("price: either this or tiers is needed, not both")
        if self.price is not None:
            _require("price", self.price)
        ends = [tier.upto for tier in self.tiers]
        known = [end for end in ends if end is not None]
        if None in ends[:-1] or any(b <= a for a, b in pairwise(known)):
            raise ValueError("tiers: each needs an upto above the one before; the last may lack it")


class Policy(_Table, frozen=True):
    """What happens to what no request used."""

    idle: Annotated[Idle, _about("How idle capacity is shared out.")] = "per_resource_proportional"
    unattributed: Annotated[Literal["separate"], _about("Never silently spread.")] = "separate"


class ModelFile(_Table, frozen=True):
    """What runs where and at which price: a cost model of stackledger."""

    schema_: Annotated[Literal["cost-model/1"], _about("The version of this format.")] = (
        msgspec.field(name="schema")
    )
    node: Annotated[tuple[Node, ...], _about("Machines; the first that matches a host wins.")]
    currency: Annotated[
        str, _about("ISO 4217 code of every amount here: USD, EUR.", pattern="^[A-Z]{3}$")
    ] = "USD"
    hours_per_month: Annotated[
        Decimal, _about("Hours that a month is counted as.", exclusiveMinimum=0)
    ] = Decimal(730)
    disk: Annotated[
        tuple[Disk, ...], _about("Volumes; the first that matches host and device wins.")
    ] = ()
    network: Annotated[tuple[Network, ...], _about("Traffic by class.")] = ()
    shared: Annotated[tuple[Shared, ...], _about("Costs of the whole deployment.")] = ()
    price: Annotated[tuple[OwnPrice, ...], _about("Prices of your own.")] = ()
    policy: Annotated[Policy, _about("What happens to what no request used.")] = Policy()

    def __post_init__(self) -> None:
        _require("hours_per_month", self.hours_per_month, positive=True)
        if not (len(self.currency) == 3 and self.currency.isascii() and self.currency.isupper()):
            raise ValueError(
                f"currency: must be an ISO 4217 code of three capitals, as USD, not {self.currency}"
            )
        if not self.node:
            raise ValueError("node: at least one is needed")
