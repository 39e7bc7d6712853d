"""What segments that TCP sends again cost: machines that are there for nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from stackledger.analysis.whatif.changes import Change

if TYPE_CHECKING:
    import duckdb

    from stackledger.analysis.prediction import Outcome
    from stackledger.analysis.whatif.prices import Priced
    from stackledger.analysis.whatif.simulator import System

NAME, KIND = "no retransmits", "retransmits"
# From this use on, the busiest resource is what bounds the throughput.
BOUND = 0.8

# OutSegs is without those sent again.
_COUNTED = """
SELECT
  coalesce(sum(value) FILTER (name = 'OutSegs'), 0)::BIGINT,
  coalesce(sum(value) FILTER (name = 'RetransSegs'), 0)::BIGINT
FROM host_protocol
WHERE protocol = 'Tcp'
"""
_BY_CONNECTION = """
SELECT
  coalesce(sum(segs_out) - sum(retransmits), 0)::BIGINT,
  coalesce(sum(retransmits), 0)::BIGINT
FROM tcp_end
WHERE segs_out IS NOT NULL AND retransmits IS NOT NULL
"""
_NETWORK = """
SELECT sum(net_ns * critical_share) / count(*) FILTER (depth = 0) FROM placed
"""


@dataclass(frozen=True, slots=True)
class Segments:
    """Segments that were sent for the first time, and again.

    `network_ns` is how long a root request waits for the network on average, for
    whatever reason; None where no ledger has it.
    """

    first: int
    again: int
    network_ns: float | None = None

    @property
    def lost(self) -> Fraction:
        """Return the share of all that is sent which is sent again."""
        return Fraction(self.again, self.first + self.again)

    def without(self, machines: int) -> int:
        """Return how many whole machines do the same work when nothing is sent again."""
        return math.ceil(machines * (1 - self.lost))


def read(connection: duckdb.DuckDBPyConnection) -> Segments | None:
    """Return the segments of a capture: by the kernel's counters, or else by connection.

    None where neither was recorded.
    """
    waited = connection.execute(_NETWORK).fetchone()
    network = float(waited[0]) if waited and waited[0] else None
    for question in (_COUNTED, _BY_CONNECTION):
        first, again = connection.execute(question).fetchone() or (0, 0)
        if first + again > 0:
            return Segments(first, again, network)
    return None


def change(segments: Segments | None, before: Outcome, priced: Priced, system: System) -> Change:
    """Return the machines that the same work needs when nothing is sent again.

    A throughput loss of f needs 1 / (1 - f) - 1 more machines, where throughput is what
    is short; only whole ones can go.
    """
    if segments is None:
        why = "no segments were counted: stackledger capture --probe tcp_connection"
        return Change(NAME, KIND, None, None, refused=why)
    lost = segments.lost
    again = f"{_percent(lost)} of segments are sent again"
    if not segments.again:
        why = f"no: of {segments.first} segments none was sent again"
        return Change(NAME, KIND, None, None, refused=why)
    busy = before.busiest_share.value if before.busiest_share else 0.0
    if busy < BOUND:
        why = f"no: not throughput-bound: {before.busiest} is {busy:.1%} busy; {again}"
        return Change(NAME, KIND, None, None, refused=why)
    if lost == 1:
        return Change(NAME, KIND, None, None, refused="nothing arrives: all is sent again")
    nodes = priced.node.monthly_usd * priced.machines
    cost = (nodes * lost.numerator / lost.denominator).quantize(Decimal("0.01"))
    currency = priced.model.file.currency
    more = f"{_percent(lost / (1 - lost))} more machines than without"
    notes = [
        f"{again}: {more}, {cost} of the nodes' {nodes:.2f} {currency} a month",
        _whole(segments, priced.machines),
        "latency is taken as today's: what requests wait for a lost segment is in it",
    ]
    if segments.network_ns is not None:
        waited = f"{segments.network_ns / 1e6:.3f} ms"
        notes.append(f"a request waits {waited} for the network, whatever the reason")
    left = segments.without(priced.machines)
    return Change(NAME, KIND, system, priced.of(left), tuple(notes))


def _whole(segments: Segments, machines: int) -> str:
    left = segments.without(machines)
    if left == machines:
        return f"no whole machine of {machines} could go"
    return f"{left} machines would do the work of {machines}"


def _percent(share: Fraction) -> str:
    return f"{float(share):.2%}"
