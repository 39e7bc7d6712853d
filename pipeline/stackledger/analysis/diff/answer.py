"""What a comparison says: two sides, and every figure of either."""

from __future__ import annotations

import msgspec

# More than 5 of 100 requests have to lie beyond a percentile before it tells anything.
_BEYOND = 5
_SHARES = {"p50": 0.5, "p95": 0.05, "p99": 0.01}


class Side(msgspec.Struct, frozen=True):
    """One side: which capture, which part of its time, and how much is known of it."""

    word: str
    capture: str
    host: str
    schema_version: int
    probes: tuple[str, ...]
    from_ts_ns: int
    dur_ns: int
    transactions: int
    lost_share: float


class Change(msgspec.Struct, frozen=True):
    """One figure on both sides; None where a side has none.

    `low` and `high` bound the change with 95 % confidence, each figure alone.
    `verdict` is more or less where they exclude 0, noise where not, few where there
    is too little to tell, new or gone where one side has none.
    """

    kind: str
    subject: str | None
    name: str
    unit: str
    before: float | None
    after: float | None
    low: float | None
    high: float | None
    verdict: str

    @property
    def change(self) -> float | None:
        """Return after less before."""
        if self.before is None or self.after is None:
            return None
        return self.after - self.before

    @property
    def change_share(self) -> float | None:
        """Return the change as a share of what was before."""
        return self.change / self.before if self.change is not None and self.before else None

    @property
    def certain(self) -> bool:
        """Tell whether chance alone would not have done it."""
        return self.verdict in ("more", "less")


class Difference(msgspec.Struct, frozen=True):
    """Two sides and all figures; `endpoint` is the only one that was looked at, None for all."""

    before: Side
    after: Side
    endpoint: str | None
    changes: tuple[Change, ...]

    def of(self, kind: str, subject: str | None = None) -> list[Change]:
        """Return the figures of a kind; with `subject`, of that one alone."""
        return [
            one
            for one in self.changes
            if one.kind == kind and (subject is None or one.subject == subject)
        ]

    def latency(self, name: str) -> Change | None:
        """Return mean, p50, p95, p99, rate or errors of all transactions."""
        return next((one for one in self.of("latency") if one.name == name), None)


def enough(name: str, requests: int) -> bool:
    """Tell whether so many requests say anything of that percentile."""
    return requests * _SHARES.get(name, 1.0) >= _BEYOND


def as_rows(difference: Difference) -> tuple[list[str], list[tuple[object, ...]]]:
    """Return one row per figure; a unit of ns, share, /s or USD."""
    columns = ["kind", "subject", "name", "unit", "before", "after"]
    columns += ["change", "low", "high", "verdict"]
    rows: list[tuple[object, ...]] = [
        (
            *(one.kind, one.subject, one.name, one.unit, one.before, one.after),
            *(one.change, one.low, one.high, one.verdict),
        )
        for one in difference.changes
    ]
    return columns, rows
