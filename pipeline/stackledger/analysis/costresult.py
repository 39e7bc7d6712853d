"""The answer of `costs.cost_table`: rows, transactions, balances and the bill."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from stackledger.analysis.costlines import PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from stackledger.analysis.billing import BillLine
    from stackledger.analysis.pricecatalog import Price


@dataclass(frozen=True, slots=True)
class CostRow:
    """One part of what one layer and service of one root endpoint cost in the window.

    `kind` is request, idle (shared by nobody) or unattributed; the rows of all
    kinds sum to the bill. `endpoint`, `layer` and `service` are None where the
    row belongs to none; `part` is one of PARTS, `resource` what it is a part of.
    """

    kind: str
    endpoint: str | None
    layer: str | None
    service: str | None
    part: str
    resource: str
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class TransactionCost:
    """Dollars for one transaction of a root endpoint.

    `marginal_usd` is priced by use, `direct_usd` adds the provisioned resources
    that it used, `loaded_usd` adds shared and idle. `loaded_high_usd` is the
    upper end for what the capture lost, None where it lost everything. `parts`
    (by PARTS) sum to `loaded_usd`; `total_usd` is for all requests together.
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

    @property
    def requests_usd(self) -> Decimal:
        """Return what all requests cost together, fully loaded."""
        return sum((row.total_usd for row in self.transactions), Decimal(0))

    @property
    def difference_usd(self) -> Decimal:
        """Return the bill less all lines: 0, or the ledger does not add up."""
        return self.bill_usd - self.requests_usd - self.idle_usd - self.unattributed_usd
