"""Two sides next to each other for the terminal, 80 columns wide."""

from __future__ import annotations

import sys
import textwrap
from decimal import Decimal
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.text import Text

from stackledger.diagnostics import printable
from stackledger.report import format as text
from stackledger.report.differencewords import (
    cell,
    difference_of,
    notes,
    sentence,
    signed,
    times,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackledger.analysis.diff.answer import Change, Difference

_FIGURES = ("mean", "p50", "p95", "p99", "rate", "errors")
# Lines of the ledger and endpoints that are shown though chance may have moved them.
_MOST_LINES = 8
_LEAST_SHARE = 0.02
_STYLES = {"more": "red", "less": "green", "new": "yellow", "gone": "yellow"}
_SAID = {"noise": "noise", "few": "too few", "new": "new", "gone": "gone"}
_NAME, _VALUE = 28, 10


def show(difference: Difference, out: TextIO | None = None) -> None:
    """Print both sides, the sentence, and what changed in latency, ledger, host and cost."""
    console = Console(file=out or sys.stdout, highlight=False)
    for name, words in zip(("before", "after"), _sides(difference), strict=True):
        for line in textwrap.wrap(f"{name:<7}{words}", 79, subsequent_indent=" " * 7):
            _print(console, line, "bold")
    if difference.endpoint is not None:
        _print(console, f"only   {printable(difference.endpoint)}", "bold")
    for note in notes(difference):
        for line in textwrap.wrap(f"note: {note}", 79):
            _print(console, line)
    _print(console, "")
    for line in textwrap.wrap(printable(sentence(difference)), 79):
        _print(console, line, "bold")
    _verdicts(console, difference.of("verdict"))
    latency = {one.name: one for one in difference.of("latency")}
    told = [latency[name] for name in _FIGURES if name in latency]
    _table(console, "latency", [one for one in told if one.before or one.after])
    _table(console, "ledger, per transaction", _telling(difference.of("ledger")))
    _sums(console, difference)
    _table(console, "endpoints", _endpoints(difference))
    batch, of_what = text.batch(_dearest(difference))
    costs = [times(one, batch) for one in difference.of("cost")]
    _table(console, f"cost per {of_what}", sorted(costs, key=lambda one: -abs(difference_of(one))))
    _table(console, "host", _host(difference))


def _verdicts(console: Console, verdicts: Sequence[Change]) -> None:
    """Print what a diagnosis of either side finds, with its share of the requests' time."""
    if not verdicts:
        return
    _print(console, "")
    room = _NAME + 3 * _VALUE + 1
    heads = f"{'before':>{_VALUE}}{'after':>{_VALUE}}"
    _print(console, f"{'verdicts, of the time':<{room}}{heads}", "dim")
    for one in verdicts:
        cells = f"{cell(one, one.before):>{_VALUE}}{cell(one, one.after):>{_VALUE}}"
        said = textwrap.wrap(
            f"{one.verdict:<7}{printable(one.subject or one.name)}",
            room - 2,
            subsequent_indent=" " * 7,
        )
        _print(console, f"{said[0]:<{room}}{cells}", _STYLES.get(one.verdict, ""))
        for line in said[1:]:
            _print(console, line, _STYLES.get(one.verdict, ""))


def _dearest(difference: Difference) -> Decimal:
    amounts = [max(one.before or 0.0, one.after or 0.0) for one in difference.of("cost")]
    return Decimal(repr(max(amounts, default=0.0)))


def _telling(lines: Sequence[Change]) -> list[Change]:
    """Return the lines with the largest changes, the largest first."""
    whole = max(sum(one.before or 0.0 for one in lines), sum(one.after or 0.0 for one in lines))
    told = [one for one in lines if abs(difference_of(one)) >= _LEAST_SHARE * whole]
    return sorted(told, key=lambda one: -abs(difference_of(one)))[:_MOST_LINES]


def _sums(console: Console, difference: Difference) -> None:
    """Print what the lines above leave out, and the sum: the mean wall time."""
    lines = difference.of("ledger")
    if not lines:
        return
    told = {(one.subject, one.name) for one in _telling(lines)}
    rest = [one for one in lines if (one.subject, one.name) not in told]
    for name, some in (("all else", rest), ("sum = mean wall time", lines)):
        was = sum(one.before or 0.0 for one in some)
        now = sum(one.after or 0.0 for one in some)
        cells = [text.duration(was), text.duration(now), _plus(text.duration(now - was), now - was)]
        _print(console, f"{name:<{_NAME}}" + "".join(f"{one:>{_VALUE}}" for one in cells))


def _endpoints(difference: Difference) -> list[Change]:
    """Return p99, or else the mean, of each endpoint: the largest changes first."""
    if difference.endpoint is not None:
        return []
    chosen: dict[str | None, Change] = {}
    for name in ("mean", "p50", "p95", "p99"):
        for one in difference.of("endpoint"):
            if one.name == name and (one.verdict != "few" or one.subject not in chosen):
                chosen[one.subject] = one
    if len(chosen) < 2:
        return []
    return sorted(chosen.values(), key=lambda one: -abs(difference_of(one)))[:_MOST_LINES]


def _host(difference: Difference) -> list[Change]:
    kinds = ("cpu", "memory", "pressure", "disk", "tcp", "page cache", "system calls")
    found = [one for kind in kinds for one in difference.of(kind)]
    always = {("cpu", "busy"), ("memory", "in use")}
    return [
        one
        for one in found
        if (one.kind, one.name) in always
        or (one.certain and abs(one.change_share or 1.0) >= _LEAST_SHARE and _large(one))
    ]


def _large(one: Change) -> bool:
    """Tell whether anybody would care: a thousandth of a share is nothing."""
    least = {"share": 0.005, "/s": 1.0, "ns": 1e4}[one.unit]
    return abs(difference_of(one)) >= least


def _table(console: Console, title: str, changes: Sequence[Change]) -> None:
    if not changes:
        return
    _print(console, "")
    heads = f"{'before':>{_VALUE}}{'after':>{_VALUE}}{'change':>{_VALUE}}"
    _print(console, f"{title[: _NAME - 1]:<{_NAME}}{heads}{'':9}95 % interval".rstrip(), "dim")
    for one in changes:
        _line(console, one)


def _line(console: Console, one: Change) -> None:
    name = _name(one)
    if len(name) >= _NAME:
        name = f"{name[: _NAME - 2]}…"
    cells = [cell(one, one.before), cell(one, one.after)]
    cells.append(text.NO_VALUE if one.change is None else signed(one, one.change))
    line = f"{name:<{_NAME}}" + "".join(f"{one:>{_VALUE}}" for one in cells)
    said = _SAID.get(one.verdict) or _interval(one)
    console.print(
        Text.assemble(line, "  ", (f"{said:>18}".rstrip(), _STYLES.get(one.verdict, "dim"))),
        soft_wrap=True,
    )


def _name(one: Change) -> str:
    subject = printable(one.subject) if one.subject else ""
    if one.kind == "latency":
        return one.name
    if one.kind == "endpoint":
        return f"{one.name} {subject}"
    if one.kind == "cost":
        return subject
    words = (subject, one.name) if one.kind == "ledger" else (one.kind, subject, one.name)
    return " ".join(word for word in words if word)


def _interval(one: Change) -> str:
    if one.low is None or one.high is None:
        return ""
    low, high = signed(one, one.low), signed(one, one.high)
    unit = low.rpartition(" ")[2]
    if " " in low and high.endswith(f" {unit}"):
        low = low.removesuffix(f" {unit}")
    return f"{low} to {high}"


def _plus(said: str, value: float) -> str:
    return f"+{said}" if value > 0 else said


def _sides(difference: Difference) -> tuple[str, str]:
    """Return each side's capture, begin, length and size; the date where they differ in it."""
    sides = (difference.before, difference.after)
    begun = [text.timestamp(side.from_ts_ns).partition(".")[0] for side in sides]
    days = {moment.partition(" ")[0] for moment in begun}
    if len(days) == 1:
        begun = [moment.partition(" ")[2] for moment in begun]
    before, after = (
        f"{printable(side.word)} · {moment} UTC · {text.duration(side.dur_ns)}"
        f" · {text.count(side.transactions)} transactions"
        for side, moment in zip(sides, begun, strict=True)
    )
    return before, after


def _print(console: Console, line: str, style: str = "") -> None:
    console.print(Text(line, style=style), soft_wrap=True)
