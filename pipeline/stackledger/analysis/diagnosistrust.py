"""How far a capture's figures can be trusted: losses, grades, a short or a small sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.analysis.diagnosis import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from stackledger.analysis.diagnosis import LedgerPart
    from stackledger.store import Capture

_LEDGER = frozenset(("request", "call", "connection"))
_SHORT_NS, _FEW, _UNEXPLAINED, _INHERITED, _LOST = 5_000_000_000, 100, 0.05, 0.2, 0.001


@dataclass(frozen=True, slots=True)
class Trust:
    """What lowers the confidence in every verdict, and in those that read certain tables."""

    capture: str
    lost: dict[str, float]
    approximate: frozenset[str]
    window_ns: int
    transactions: int
    unexplained_share: float | None
    inherited_share: float
    sampled_share: float
    cut_off: str

    @property
    def lost_share(self) -> float:
        """Return the share of the rows lost in the table that lost most."""
        return max(self.lost.values(), default=0.0)

    def of(self, tables: Sequence[str]) -> tuple[float, list[Figure]]:
        """Return the confidence 0..1 in what these tables tell, and what lowers it."""
        score = 1.0
        reasons: list[Figure] = []
        read = set(tables)
        lost = max((self.lost.get(one, 0.0) for one in read), default=0.0)
        checks = (
            (lost > _LOST, max(0.2, 1 - 2 * lost), _figure("rows lost", lost, "share")),
            (bool(read & self.approximate), 0.85, _figure("a probe of approximate grade")),
            (self.window_ns < _SHORT_NS, 0.85, _figure("recorded only", self.window_ns, "ns")),
            (bool(self.cut_off), 0.85, _figure(self.cut_off)),
        )
        of_ledger = (
            (self.transactions < _FEW, 0.7, _figure("few requests", self.transactions, "requests")),
            (
                (self.unexplained_share or 0) > _UNEXPLAINED,
                0.8,
                _figure("of the time unexplained", self.unexplained_share, "share"),
            ),
            (
                self.inherited_share > _INHERITED,
                0.85,
                _figure("calls whose owner is inferred", self.inherited_share, "share"),
            ),
        )
        for holds, factor, reason in (*checks, *(of_ledger if read & _LEDGER else ())):
            if holds:
                score *= factor
                reasons.append(reason)
        return score, reasons


def trust(
    capture: Capture,
    connection: duckdb.DuckDBPyConnection,
    transactions: int,
    ledger: Sequence[LedgerPart],
) -> Trust:
    """Return what is known against a capture's figures; `ledger` are its parts."""
    told = capture.manifest
    lost = {}
    for one in told.losses:
        gone = (one.lost or 0) + one.undecodable
        if gone > 0:
            lost[one.table] = gone / (one.received + gone)
    row = connection.execute(
        """
        SELECT (SELECT dur_ns FROM span),
          (SELECT count(*) FILTER (grade = 'inherited') / nullif(count(*), 0) FROM waits),
          coalesce(getvariable('sampled_share'), 1.0)::DOUBLE
        """
    ).fetchone()
    assert row is not None
    return Trust(
        capture=told.id,
        lost=lost,
        approximate=frozenset(
            table
            for run in told.probes
            if run.grade.startswith("approximate")
            for table in run.tables
        ),
        window_ns=row[0],
        transactions=transactions,
        unexplained_share=sum(one.explained_share for one in ledger if one.part == "unexplained")
        if transactions
        else None,
        inherited_share=row[1] or 0.0,
        sampled_share=row[2],
        cut_off=capture.condition,
    )


def _figure(name: str, value: float | None = None, unit: str = "") -> Figure:
    return Figure(name=name, value=value, unit=unit)
