"""The verdicts as the page shows them: what was found, its evidence, the next thing to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.report.diagnosis import headline, looked, not_measured, sure, value, why
from stackledger.report.format import duration, share
from stackledger.report.shown import text

if TYPE_CHECKING:
    from stackledger.analysis.diagnosis import Diagnosis, Verdict


@dataclass(frozen=True, slots=True)
class VerdictView:
    """One verdict; `points` are (name, text), `evidence` (what, value)."""

    severity: str
    title: str
    explained: str
    where: str
    evidence: list[tuple[str, str]]
    points: list[tuple[str, str]]
    query: str


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The section: `grave` in full, `notes` folded; `answer` says that nothing is wrong."""

    answer: str
    grave: list[VerdictView]
    notes: list[VerdictView]
    looked: str
    not_measured: str


def verdicts(found: Diagnosis) -> Verdicts:
    """Return the section, the gravest first."""
    views = [_view(one) for one in found.verdicts]
    return Verdicts(
        answer=text(headline(found), 400) if found.top is None else "",
        grave=[one for one in views if one.severity != "note"],
        notes=[one for one in views if one.severity == "note"],
        looked=looked(found),
        not_measured=text(not_measured(found), 2000) if not_measured(found) else "",
    )


def _view(one: Verdict) -> VerdictView:
    points = [("why", why(one)), ("sure", sure(one)), ("next", one.next)]
    explained = ""
    if one.explained_share is not None:
        explained = (
            f"{share(one.explained_share)} of the requests' time,"
            f" {duration(one.typical_ns)} in a request that has it"
        )
    where = " ".join(dict.fromkeys(filter(None, (one.layer, one.service))))
    return VerdictView(
        severity=one.severity,
        title=text(one.title, 300),
        explained=explained,
        where=text(where, 120) if where else "",
        evidence=[
            (text(figure.name, 120), value(figure))
            for figure in one.evidence
            if figure.value is not None
        ],
        points=[(name, text(said, 800)) for name, said in points if said],
        query=text(one.query, 400),
    )
