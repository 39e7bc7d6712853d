"""Renders an experiment as a page: its figures side by side, and each phase's ledger."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from stackledger.report.lab import cells, findings
from stackledger.report.ledgerview import ledger
from stackledger.report.pages import template
from stackledger.report.parts import PARTS
from stackledger.report.shown import moment, text

if TYPE_CHECKING:
    from stackledger.analysis.experiment import PhaseResult, Result
    from stackledger.report.ledgerview import LedgerView


@dataclass(frozen=True, slots=True)
class PhaseView:
    """One phase, as texts."""

    name: str
    done: str
    findings: list[tuple[str, str]]
    capture: str
    started: str
    ledger: LedgerView


def render(result: Result) -> str:
    """Return one HTML page that needs nothing from anywhere; the same result, the same bytes."""
    sections = [
        (section, [(name, values) for _, name, values in lines])
        for section, lines in groupby(cells(result), lambda line: line[0])
    ]
    return template("lab.html.j2").render(
        name=result.name,
        question=result.question,
        answer=result.answer,
        parts=PARTS,
        sections=sections,
        phases=[_phase(one) for one in result.phases],
    )


def _phase(phase: PhaseResult) -> PhaseView:
    told = phase.capture.manifest
    return PhaseView(
        name=phase.name,
        done=phase.done,
        findings=[(name, text(said, 400)) for name, said in findings(phase)],
        capture=text(told.id),
        started=moment(told.started_ns),
        ledger=ledger(phase.attribution),
    )
