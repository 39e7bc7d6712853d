"""An experiment's table for the terminal: its figures phase by phase, 80 columns wide."""

from __future__ import annotations

import sys
import textwrap
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any, TextIO

from stackledger.diagnostics import printable
from stackledger.report.diagnosis import headline
from stackledger.report.format import count, duration, money, share, size
from stackledger.report.verdict import sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackledger.analysis.experiment import Figure, PhaseResult, Result

_WIDTH = 80
_NAME, _LEAST, _MOST = 30, 9, 10
COLUMNS = ("lab", "phase", "capture", "section", "figure", "unit", "value", "text")


def show(result: Result, out: TextIO | None = None) -> None:
    """Print the table, what each phase's ledger says, and what the experiment shows."""
    out = out or sys.stdout
    for line in lines(result):
        print(line, file=out)


def lines(result: Result) -> list[str]:
    """Return the lines of the terminal's text."""
    told = [*_paragraph(f"{result.name}: {result.question}"), ""]
    name, width = _widths(result)
    heads = "".join(f"{phase.name:>{width}}" for phase in result.phases)
    told.append(f"{'':<{name}}{heads}")
    for section, figures in groupby(cells(result), lambda line: line[0]):
        told.append(section)
        for _, figure, values in figures:
            told.append(f"  {figure:<{name - 2}}" + "".join(f"{v:>{width}}" for v in values))
    for phase in result.phases:
        told += ["", *_paragraph(f"{phase.name}: {phase.done}", indent=2)]
        for source, text in findings(phase):
            told += _paragraph(f"  {source:<11}{text}", indent=13)
    return [*told, "", *_paragraph(result.answer)]


def rows(result: Result) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Return one row per phase and figure, and one per phase with its verdict as text."""
    found: list[tuple[Any, ...]] = []
    for phase in result.phases:
        head = (result.name, phase.name, phase.capture.manifest.id)
        for figure, value in zip(result.figures, phase.figures, strict=True):
            number = None if value is None else float(value)
            found.append((*head, figure.section, figure.name, figure.unit, number, None))
        for name, text in findings(phase):
            found.append((*head, "findings", name, None, None, text))
        top = phase.diagnosis.top
        for name, text in (("rule", top.rule), ("resource", top.resource)) if top else ():
            found.append((*head, "findings", name, None, None, text))
    return COLUMNS, found


def cells(result: Result) -> list[tuple[str, str, list[str]]]:
    """Return (section, figure, its values as text) of every line that says something."""
    return [
        (figure.section, figure.name, [cell(figure, phase.figures[at]) for phase in result.phases])
        for at, figure in enumerate(result.figures)
        if any(phase.figures[at] not in (None, 0) for phase in result.phases)
    ]


def findings(phase: PhaseResult) -> list[tuple[str, str]]:
    """Return what a phase's capture says, by what says it: the ledger, the diagnosis."""
    found = [("ledger", printable(sentence(phase.attribution)))]
    if phase.diagnosis.dashboard.gauges:
        found.insert(0, ("dashboard", _dashboard(phase)))
    top = phase.diagnosis.top
    if top is None:
        return [*found, ("diagnosis", headline(phase.diagnosis))]
    sure = f"{top.severity.upper()}, confidence {top.confidence.level}."
    found.append(("diagnosis", f"{headline(phase.diagnosis)} {sure}"))
    return [*found, ("next", printable(top.next))]


def _dashboard(phase: PhaseResult) -> str:
    """Return what the usual graphs say: "looks fine: CPU and RAM below their usual alerts"."""
    gauges = phase.diagnosis.dashboard.gauges
    high = [f"{one.name} above its usual alert of {share(one.alert)}" for one in gauges]
    high = [text for text, one in zip(high, gauges, strict=True) if not one.fine]
    if high:
        return f"{' and '.join(high)}."
    return f"Looks fine: {' and '.join(one.name for one in gauges)} below the usual alerts."


def cell(figure: Figure, value: Any) -> str:
    """Return one value as text, by the figure's unit."""
    if figure.unit == "usd":
        return money(None if value is None else Decimal(value))
    if figure.unit == "bytes":
        return size(value)
    if figure.unit == "share":
        return share(value)
    return duration(value) if figure.unit == "ns" else count(value)


def _widths(result: Result) -> tuple[int, int]:
    """Return the columns of the names, and of each phase."""
    least = max(len(one) for _, one, _ in cells(result)) + 2
    longest = max(len(phase.name) for phase in result.phases) + 2
    name = min(_NAME, _WIDTH - len(result.phases) * _LEAST)
    name = max(name, least)
    return name, min(max(_MOST, longest), (_WIDTH - name) // len(result.phases))


def _paragraph(text: str, indent: int = 0) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH - 1,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
    )


def listing(labs: Sequence[tuple[str, str, str, str | None]]) -> None:
    """Print the labs: (name, what it shows, packages it needs, what installs the missing)."""
    width = max(len(name) for name, *_ in labs) + 2
    for name, shows, needs, remedy in labs:
        missing = [f"missing: {remedy}"] if remedy else []
        texts = [shows, f"needs {needs}", *missing]
        told = [
            line
            for text in texts
            for line in textwrap.wrap(text, _WIDTH - width, break_on_hyphens=False)
        ]
        print(f"{name:<{width}}{told[0]}")
        for line in told[1:]:
            print(f"{'':<{width}}{line}")
