"""What is wrong with a captured stack: the structs of `diagnosis/1`.

`analysis.diagnose` makes them; `stackledger diagnose --format json` prints them as
they are here. Durations are in ns. A field that is null is not known, never 0.
"""

from __future__ import annotations

import msgspec

SCHEMA = "diagnosis/1"
# From grave to harmless; alerts go by these words.
SEVERITIES = ("critical", "warning", "note")


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value; `unit` is ns, share, bytes, hz, or what is counted.

    A reason to doubt that has no number has neither value nor unit.
    """

    name: str
    value: float | None
    unit: str


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """What the measured value was held against, and who says so."""

    measured: float | None
    value: float | None
    unit: str
    source: str


class Confidence(msgspec.Struct, frozen=True, kw_only=True):
    """How far to trust a verdict: `score` 0..1; `level` high, medium or low; what lowers it."""

    level: str
    score: float
    reasons: list[Figure]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of one rule.

    `explained_ns` is its part of the ledger, summed over all transactions,
    `explained_share` that of their wall time, and `typical_ns` what a transaction
    that has it has of it: null where the capture has no transactions, or where the
    finding is not one of time. `covers` are general rules that say the same less exactly.
    """

    rule: str
    version: int
    title: str
    severity: str
    layer: str
    service: str
    resource: str
    object: str
    explained_ns: int | None
    explained_share: float | None
    typical_ns: int | None
    threshold: Threshold
    evidence: list[Figure]
    query: str
    confidence: Confidence
    next: str
    covers: list[str]


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """One rule and what came of it: found, nothing, or not measured for want of `missing`."""

    rule: str
    version: int
    purpose: str
    outcome: str
    missing: list[str]


class Gauge(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a dashboard: mean and highest second, 0..1; `fine` below `alert`."""

    name: str
    mean: float
    highest: float
    alert: float
    fine: bool


class Dashboard(msgspec.Struct, frozen=True, kw_only=True):
    """What a dashboard of CPU and memory showed meanwhile; no gauges where nothing was counted."""

    gauges: list[Gauge]
    fine: bool
    source: str


class LedgerPart(msgspec.Struct, frozen=True, kw_only=True):
    """What one part of one layer took of all transactions' time."""

    layer: str
    service: str
    part: str
    explained_ns: int
    explained_share: float
    typical_ns: int


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong, the gravest first, and what was looked at.

    `healthy`: no verdict is graver than a note. `sampled_share` is the share of the
    requests that the ledger's figures are from.
    """

    schema: str = SCHEMA
    capture: str
    name: str
    host: str
    from_ts_ns: int
    until_ts_ns: int
    transactions: int
    wall_ns: int
    p50_ns: float | None
    p99_ns: float | None
    healthy: bool
    verdicts: list[Verdict]
    dashboard: Dashboard
    ledger: list[LedgerPart]
    looked: list[Looked]
    lost_share: float
    unexplained_share: float | None
    sampled_share: float

    @property
    def top(self) -> Verdict | None:
        """Return the gravest verdict, None where nothing is worse than a note."""
        return None if self.healthy else self.verdicts[0]
