"""An option of a what-if: the system that is replayed, and its price."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackledger.analysis.whatif.cache import Cache, Hits
    from stackledger.analysis.whatif.calibration import Calibration
    from stackledger.analysis.whatif.demand import Demand, Job
    from stackledger.analysis.whatif.prices import Priced
    from stackledger.analysis.whatif.simulator import System
    from stackledger.errors import StackledgerError


@dataclass(frozen=True, slots=True)
class Change:
    """One option: the system to replay and its price a month, or why there is none.

    `hits` are the reads that no longer reach the disk, None where all do; `jobs` what is
    replayed instead of today's; `load` is the factor on the load of each machine.
    """

    name: str
    kind: str
    system: System | None
    monthly_usd: Decimal | None
    notes: tuple[str, ...] = ()
    refused: str = ""
    hits: Hits | None = None
    jobs: tuple[Job, ...] | None = None
    load: float = 1.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What the options change: the demand, today's system, its page cache, what it costs."""

    demand: Demand
    today: Calibration
    priced: Priced
    cache: Cache


def replica(share: float, setting: Setting) -> Change:
    """Return a second database machine that takes that share of the requests' reads."""
    volume = setting.priced.disk
    node = setting.priced.node.monthly_usd
    more = node + (volume.monthly_usd if volume else Decimal(0))
    return Change(
        f"replica {share:g}",
        "replica",
        replace(setting.today.system, replica_share=share),
        setting.priced.instead(Decimal(0), more),
        ("the replica is a node and a volume like today's; its lag is not in it",),
    )


def said(failure: StackledgerError) -> str:
    return f"{failure}; {failure.hint}" if failure.hint else str(failure)
