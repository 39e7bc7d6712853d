"""The answer of `costs.cost_table`: rows, transactions, balances and the bill."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from stackledger.analysis.costlines import PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from stackledger.analysis.billing import BillLine, Pool
    from stackledger.analysis.pricecatalog import Price


@dataclass(frozen=True, slots=True)
class CostRow:
    """One part of what one layer and service of one subject cost in the window.

    `kind` is request, idle (shared by nobody), tracer (recording itself) or
    unattributed; the rows of all kinds sum to the bill. `endpoint` is the
    subject: a root endpoint, or what else the costs are split by. It, `layer`
    and `service` are None where the row belongs to none; `part` is one of
    PARTS, `resource` what it is a part of.
    """

    kind: str
    endpoint: str | None
    layer: str | None
    service: str | None
    part: str
    resource: str
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class PoolRow:
    """A CostRow's part that comes from one pool: `pool` counts CostResult.pools."""

    pool: int
    row: CostRow


@dataclass(frozen=True, slots=True)
class TransactionCost:
    """Dollars for one transaction of a root endpoint, or for one request of a subject.

    `marginal_usd` is priced by use, `direct_usd` adds the provisioned resources
    that it used, `loaded_usd` adds shared and idle. `parts` (by PARTS) sum to
    `loaded_usd`; `total_usd` is for all requests together.

    The systematic interval is `loaded_low_usd`, where the lowest of conflicting
    prices is the right one, to `loaded_high_usd`, for what the capture lost
    (None where it lost everything). The statistical one, of 95 %, is
    `statistical_low_usd` to `statistical_high_usd`: how far the mean of another
    window under the same load may lie from this one's. None where the window
    has too few blocks with such a transaction.
    """

    endpoint: str
    requests: int
    marginal_usd: Decimal
    direct_usd: Decimal
    loaded_usd: Decimal
    loaded_high_usd: Decimal | None
    parts: Mapping[str, Decimal]
    shares: Mapping[str, float]
    total_usd: Decimal
    loaded_low_usd: Decimal
    statistical_low_usd: Decimal | None = None
    statistical_high_usd: Decimal | None = None

    @property
    def disk_usd(self) -> Decimal:
        """Return the disk's part: capacity, IOPS and throughput."""
        return sum((self.parts[p] for p in PARTS if p.startswith("disk_")), Decimal(0))


@dataclass(frozen=True, slots=True)
class ResourceBalance:
    """Where the cost of one resource went; `used_share` is None where it has no limit.

    Above 1 it was oversubscribed, and the use was rescaled to the cost.
    """

    resource: str
    cost_usd: Decimal
    requests_usd: Decimal
    unattributed_usd: Decimal
    idle_usd: Decimal
    used_share: float | None
    tracer_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class CostResult:
    """The cost table of a capture, its bill and what the figures rest on."""

    model: str
    currency: str
    window_ns: int
    hosts: tuple[str, ...]
    lost_share: float
    idle_policy: str
    rows: list[CostRow]
    transactions: list[TransactionCost]
    resources: list[ResourceBalance]
    bill: list[BillLine]
    bill_usd: Decimal
    idle_usd: Decimal
    unattributed_usd: Decimal
    prices: list[Price]
    oldest_source_date: date | None
    warnings: list[str]
    notes: list[str]
    pools: list[Pool] = field(default_factory=list)
    pool_rows: list[PoolRow] = field(default_factory=list)
    by: str = "endpoint"
    tracer_usd: Decimal = Decimal(0)

    @property
    def requests_usd(self) -> Decimal:
        """Return what all requests cost together, fully loaded."""
        return sum((row.total_usd for row in self.transactions), Decimal(0))

    @property
    def difference_usd(self) -> Decimal:
        """Return the bill less all lines: 0, or the ledger does not add up."""
        apart = self.idle_usd + self.unattributed_usd + self.tracer_usd
        return self.bill_usd - self.requests_usd - apart
