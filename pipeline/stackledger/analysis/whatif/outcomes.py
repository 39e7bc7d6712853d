"""What requests see on a system: measured today, or out of a replay."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from stackledger.analysis.prediction import FIGURES, Figure, Latency, Outcome
from stackledger.analysis.whatif import statistics

if TYPE_CHECKING:
    from stackledger.analysis.whatif.calibration import Calibration
    from stackledger.analysis.whatif.changes import Setting
    from stackledger.analysis.whatif.limiter import Limit
    from stackledger.analysis.whatif.simulator import Replay


def measured(setting: Setting, endpoint: str | None, rate: Figure) -> Outcome:
    asked = setting.demand
    walls = [float(j.wall_ns) for j in asked.jobs if endpoint in (None, j.endpoint)]
    uses = {"CPU": asked.cpu_share(setting.today.system.cpus)}
    limit = setting.today.system.limit
    if asked.disk is not None and limit is not None:
        uses |= _disk_uses(limit, asked.disk.own_hz, asked.disk.bytes_hz)
    busiest = max(uses, key=uses.__getitem__)
    spread = (rate.high - rate.low) / 2 / rate.value if rate.value else 0.0
    return Outcome(
        latency=statistics.latency(walls),
        rate_hz=rate,
        busiest=busiest,
        busiest_share=_around(min(1.0, uses[busiest]), spread),
        monthly_usd=setting.priced.monthly_usd,
    )


def _disk_uses(limit: Limit, ios_hz: float, bytes_hz: float) -> dict[str, float]:
    uses = {}
    if limit.iops:
        uses["disk IOPS"] = ios_hz / limit.iops
    if limit.bytes_per_s:
        uses["disk throughput"] = bytes_hz / limit.bytes_per_s
    return uses


def replayed(
    found: Replay,
    today: Calibration,
    monthly: Decimal | None,
    endpoint: str | None,
    errors: statistics.Errors,
) -> Outcome:
    latencies = [one for name, one in found.answers if endpoint in (None, name)]
    uses = {"CPU": found.cpu_share}
    if found.iops_share is not None:
        uses["disk IOPS"] = found.iops_share
    if found.throughput_share is not None:
        uses["disk throughput"] = found.throughput_share
    busiest = max(uses, key=uses.__getitem__)
    error = today.errors["mean"]
    return Outcome(
        latency=statistics.latency(latencies, errors),
        rate_hz=_around(found.rate_hz, error),
        busiest=busiest,
        busiest_share=_around(min(1.0, uses[busiest]), error),
        monthly_usd=monthly,
    )


def widened(outcome: Outcome, edge: Outcome) -> Outcome:
    """Return the outcome, its intervals as wide as to hold those of another one."""
    latency = {
        name: _joined(outcome.latency.figure(name), edge.latency.figure(name)) for name in FIGURES
    }
    share = outcome.busiest_share
    if share is not None and edge.busiest == outcome.busiest and edge.busiest_share is not None:
        share = _joined(share, edge.busiest_share)
    return replace(
        outcome,
        latency=Latency(**latency),
        rate_hz=_joined(outcome.rate_hz, edge.rate_hz),
        busiest_share=share,
    )


def _joined(one: Figure, other: Figure) -> Figure:
    return Figure(one.value, min(one.low, other.low), max(one.high, other.high))


def _around(value: float, error: float) -> Figure:
    return Figure(value, value * max(0.0, 1 - error), value * (1 + error))
