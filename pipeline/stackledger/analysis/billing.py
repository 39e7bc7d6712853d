"""The words of a bill: pools of a resource, items, and the grain of money.

A pool is one resource that requests draw on (all CPUs; the IOPS of the disks
of some layers), with what it costs in the window and how much use it can give.
The pools' costs are the bill; `allocation` splits each of them over its users.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackledger.analysis.charges import Charge
    from stackledger.analysis.costmodel import CostModel
    from stackledger.analysis.pricecatalog import Price

QUANTUM = Decimal("0.000000000001")
GIB = 1024**3
_NS_PER_HOUR = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """How long a host was captured, its CPUs, and the share of events lost there."""

    host: str
    window_ns: int
    cpus: int
    lost_share: float


@dataclass(frozen=True, slots=True)
class SeenDisk:
    """A disk of a captured host and a layer that uses it, "" where unknown."""

    host: str
    device: str
    layer: str


@dataclass(frozen=True, slots=True)
class Pool:
    """One resource in the window.

    `capacity` is in the unit of its use (CPU ns, memory byte-ns, I/Os, bytes)
    and None where no limit is known. `whole` says that nothing of it can be
    idle: its users bear all of it. `layers` None: all of them. The limits are
    the I/Os and bytes that the disks of a capacity pool can do in the window.
    `key` is "use", or how a shared cost is split; `name` is a network's class.
    `tracer_use` is what recording itself used, and no part of `unattributed_use`.
    `metered` says that each use has its price: none of it is provisioned.
    """

    resource: str
    cost_usd: Decimal
    capacity: int | None = None
    unattributed_use: int = 0
    layers: frozenset[str] | None = None
    whole: bool = False
    ios_limit: int | None = None
    bytes_limit: int | None = None
    key: str = "use"
    name: str = ""
    tracer_use: int = 0
    metered: bool = False


@dataclass(frozen=True, slots=True)
class BillLine:
    """One thing that costs money: per month (None: priced by use) and in the window.

    `charges` are the same as unit prices times quantities.
    """

    item: str
    monthly_usd: Decimal | None
    cost_usd: Decimal
    charges: tuple[Charge, ...] = ()


@dataclass(slots=True)
class Bill:
    """The pools, the same money by item, and what a reader has to know about it."""

    pools: list[Pool] = field(default_factory=list)
    lines: list[BillLine] = field(default_factory=list)
    prices: list[Price] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    doubtful_usd: dict[str, Decimal] = field(default_factory=dict)

    def doubt(self, resource: str, amount: Decimal) -> None:
        """Note that a resource could cost that much less: sources disagree on its price."""
        if amount:
            self.doubtful_usd[resource] = self.doubtful_usd.get(resource, Decimal(0)) + amount

    def low_shares(self) -> dict[str, Decimal]:
        """Return what is left of a resource's cost, 0 to 1, where it is in doubt."""
        costs: dict[str, Decimal] = {}
        for pool in self.pools:
            costs[pool.resource] = costs.get(pool.resource, Decimal(0)) + pool.cost_usd
        return {
            resource: max(Decimal(0), 1 - amount / costs[resource])
            for resource, amount in self.doubtful_usd.items()
            if costs.get(resource)
        }

    @property
    def total_usd(self) -> Decimal:
        """Return the bill of the window."""
        return sum((pool.cost_usd for pool in self.pools), Decimal(0))


def rounded(amount: Decimal) -> Decimal:
    """Return the amount in the money grain, 1e-12 dollars."""
    return amount.quantize(QUANTUM, ROUND_HALF_EVEN)


def in_window(monthly: Decimal, model: CostModel, window_ns: int) -> Decimal:
    """Return what a monthly price comes to in the window."""
    return rounded(monthly * window_ns / (model.file.hours_per_month * _NS_PER_HOUR))
