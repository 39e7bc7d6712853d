"""A prediction beside what was measured after the change, as the page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.report.format import count, duration, signed_share
from stackledger.report.proof import verdict
from stackledger.report.shown import text

if TYPE_CHECKING:
    from stackledger.analysis.prediction import Figure
    from stackledger.analysis.whatif.proof import Compared, Proof


@dataclass(frozen=True, slots=True)
class ProofLine:
    """One figure: `inside` says whether the predicted and the measured interval meet."""

    figure: str
    before: str
    predicted: str
    interval: str
    measured: str
    error: str
    inside: bool


@dataclass(frozen=True, slots=True)
class ProofView:
    """The comparison: its verdict, from what it was made, its lines and what weakens it."""

    verdict: str
    made: str
    lines: list[ProofLine]
    warnings: list[str]


def view(proof: Proof) -> ProofView:
    """Return the comparison as texts."""
    told = proof.prediction
    made = told.made_at[:16].replace("T", " ")
    return ProofView(
        verdict=text(verdict(proof), 500),
        made=f"prediction {text(told.name, 80)}, made {text(made)} UTC from capture "
        f"{text(told.capture, 80)} · {count(proof.requests)} requests measured here",
        lines=[_line(one) for one in proof.figures],
        warnings=[text(warning, 400) for warning in proof.warnings],
    )


def _line(one: Compared) -> ProofLine:
    low, high = _written(one, one.predicted, "low"), _written(one, one.predicted, "high")
    return ProofLine(
        figure=text(one.figure),
        before=_written(one, one.before),
        predicted=_written(one, one.predicted),
        interval="" if low == high else f"{low} to {high}",
        measured=_written(one, one.measured),
        error=signed_share(one.error),
        inside=one.inside,
    )


def _written(one: Compared, figure: Figure, end: str = "value") -> str:
    value = getattr(figure, end)
    return f"{count(value)}/s" if one.figure == "rate" else duration(value)
