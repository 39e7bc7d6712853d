"""A diagnosis as text for the terminal, 80 columns wide: the answer first, then why."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.text import Text

from stackledger.diagnostics import printable
from stackledger.report.format import NO_VALUE, count, duration, share, size

if TYPE_CHECKING:
    from stackledger.analysis.diagnosis import Diagnosis, Figure, LedgerPart, Verdict

_WIDTH = 80
_STYLES = {"critical": "bold red", "warning": "bold yellow", "note": "bold"}
_INDENT, _LABEL = 3, 7
_LEDGER_LINES = 4
_LEFT = 32  # columns of the dashboard, beside which the ledger stands


def show(found: Diagnosis, *, every: bool = False, out: TextIO | None = None) -> None:
    """Print the answer, what a dashboard showed meanwhile, the verdicts, what was looked at.

    Without `every`, notes take a line each, and rules that found nothing are counted.
    """
    page = _Page(out)
    page.text(headline(found), "bold" if found.top is None else _STYLES[found.top.severity])
    page.text(_frame(found), "dim")
    page.line()
    _looks_fine(page, found)
    graver = [one for one in found.verdicts if every or one.severity != "note"]
    told: dict[tuple[object, ...], int] = {}
    for number, verdict in enumerate(graver, 1):
        page.line()
        time = (verdict.layer, verdict.service, verdict.explained_ns or number)
        _verdict(page, number, verdict, same_as=told.get(time))
        told.setdefault(time, number)
    notes = [one for one in found.verdicts if one not in graver]
    if notes:
        page.line()
        page.line("Notes, nothing to worry about yet (in full with --all):", "dim")
        for one in notes:
            page.hanging(" ·", f"{printable(one.title)}{_of_time(one)}", 3)
    page.line()
    _looked(page, found, every=every)


def headline(found: Diagnosis) -> str:
    """Return the answer in one sentence."""
    if found.top is not None:
        title = printable(found.top.title)
        # A program's name is written as it is.
        if not (found.top.service and title.startswith(printable(found.top.service))):
            title = f"{title[:1].upper()}{title[1:]}"
        part = found.top.explained_share
        end = "." if part is None else f": {share(part)} of the requests' time."
        return f"{title}{end}"
    measured = sum(one.outcome != "not measured" for one in found.looked)
    if not found.transactions:
        return f"No requests were recorded, and nothing else is wrong: {measured} rules looked."
    return f"Nothing wrong here: {measured} rules looked, and none found more than a note."


class _Page:
    """Writes lines of at most 80 columns."""

    def __init__(self, out: TextIO | None) -> None:
        self._console = Console(file=out or sys.stdout, highlight=False)

    def line(self, text: str = "", style: str = "") -> None:
        self._console.print(Text(text.rstrip(), style=style), soft_wrap=True)

    def text(self, text: str, style: str = "") -> None:
        self.line(textwrap.fill(text, _WIDTH - 1), style)

    def hanging(self, label: str, text: str, width: int = _INDENT + _LABEL) -> None:
        """Write a label, and a text beside it that goes on below itself."""
        lines = textwrap.wrap(
            text, _WIDTH - 1 - width, break_long_words=True, break_on_hyphens=False
        ) or [""]
        for number, line in enumerate(lines):
            self.line(f"{label if number == 0 else '':<{width}}{line}")


def _frame(found: Diagnosis) -> str:
    name = printable(found.name or found.capture)
    words = [name, duration(found.until_ts_ns - found.from_ts_ns)]
    if found.transactions:
        words += [
            f"{count(found.transactions)} requests",
            f"p50 {duration(found.p50_ns)}",
            f"p99 {duration(found.p99_ns)}",
        ]
    else:
        words.append("no requests: what follows is about the host alone")
    if found.sampled_share < 1:
        words.append(f"ledger of a sample of {share(found.sampled_share)}")
    return " · ".join(words)


def _looks_fine(page: _Page, found: Diagnosis) -> None:
    left = ["a dashboard showed"]
    for one in found.dashboard.gauges:
        word = "looks fine" if one.fine else f"above {share(one.alert).removesuffix('.0 %')} %"
        left.append(f"{one.name:<4}{share(one.mean):>7}  {word}")
    if not found.dashboard.gauges:
        left.append("(nothing was counted)")
    right = ["the ledger shows, of the requests' time"] if found.ledger else []
    right += [_part(one) for one in found.ledger[:_LEDGER_LINES]]
    for number in range(max(len(left), len(right))):
        beside = right[number] if number < len(right) else ""
        before = left[number] if number < len(left) else ""
        page.line(f"{before:<{_LEFT}}{beside}", "dim" if number == 0 else "")


def _part(one: LedgerPart) -> str:
    room = _WIDTH - 1 - _LEFT - 8 - 10
    who = printable(one.service)
    who = who if len(who) <= room - 12 else f"{who[: room - 13]}…"
    return f"{share(one.explained_share):>7}  {one.part:<11} {who}"


def _verdict(page: _Page, number: int, one: Verdict, *, same_as: int | None) -> None:
    page_line = f"{number}. {one.severity.upper()}: {printable(one.title)}"
    for at, line in enumerate(textwrap.wrap(page_line, _WIDTH - 1, subsequent_indent="   ")):
        page.line(line, _STYLES[one.severity] if at == 0 else "bold")
    if one.explained_share is not None:
        text = f"{share(one.explained_share)} of the requests' time, {duration(one.typical_ns)}"
        end = "" if same_as is None else f": the same time as in {same_as}"
        _point(page, "costs", f"{text} in a request that has it{end}")
    where = " ".join(dict.fromkeys(filter(None, (one.layer, one.service))))
    _point(page, "where", printable(where))
    for at, figure in enumerate(one.evidence):
        if figure.value is not None:
            label = f"{'':<{_INDENT}}{'seen' if at == 0 else '':<{_LABEL}}"
            page.line(f"{label}{printable(figure.name)[:50]:<51}{value(figure)}")
    _point(page, "why", why(one))
    _point(page, "sure", sure(one))
    _point(page, "rows", printable(one.query))
    _point(page, "next", printable(one.next))


def _point(page: _Page, label: str, text: str) -> None:
    page.hanging(f"{'':<{_INDENT}}{label}", text)


def why(one: Verdict) -> str:
    """Return what was measured against which threshold, and who says so."""
    held = one.threshold
    measured = value_of(held.measured, held.unit)
    source = " ".join(held.source.split())
    return f"{measured} against {value_of(held.value, held.unit)}: {source}"


def sure(one: Verdict) -> str:
    """Return how far to trust a verdict, and what lowers it."""
    reasons = [
        f"{printable(reason.name)} {value(reason) if reason.value is not None else ''}".strip()
        for reason in one.confidence.reasons
    ]
    return f"{one.confidence.level}" + (f"; less for: {', '.join(reasons)}" if reasons else "")


def _of_time(one: Verdict) -> str:
    return "" if one.explained_share is None else f" ({share(one.explained_share)} of the time)"


def _looked(page: _Page, found: Diagnosis, *, every: bool) -> None:
    page.text(looked(found), "dim")
    if every:
        for one in found.looked:
            page.hanging(f"  {one.rule:<18}", f"{one.outcome}: {one.purpose}", 20)
    elif text := not_measured(found):
        page.text(text, "dim")


def looked(found: Diagnosis) -> str:
    """Return how many rules looked, and what came of them."""
    outcomes = [one.outcome for one in found.looked]
    text = ", ".join(
        f"{outcomes.count(word)} {said}" for word, said in _OUTCOMES.items() if word in outcomes
    )
    return f"{len(found.looked)} rules: {text}."


def not_measured(found: Diagnosis) -> str:
    """Return which rules could not look, and for want of what; empty where all could."""
    blind = [one for one in found.looked if one.outcome == "not measured"]
    if not blind:
        return ""
    missing = sorted({name for one in blind for name in one.missing})
    names = ", ".join(one.rule for one in blind)
    return f"Not measured: {names}; no rows of {', '.join(missing)}."


_OUTCOMES = {"found": "found something", "nothing": "nothing", "not measured": "not measured"}


def value(figure: Figure) -> str:
    """Return a figure's value with its unit."""
    return value_of(figure.value, figure.unit)


def value_of(number: float | None, unit: str) -> str:
    """Return a number in one of a diagnosis's units as text."""
    if number is None:
        return NO_VALUE
    if unit == "ns":
        return duration(number)
    if unit == "share":
        return share(number)
    if unit in ("bytes", "bytes/s"):
        return size(number) + unit.removeprefix("bytes")
    # Of few things a second or each, the fraction tells.
    said = count(number) if number >= 10 or number == int(number) else f"{number:.1f}"
    return f"{said}{unit}" if unit.startswith("/") else f"{said} {unit}".rstrip()
