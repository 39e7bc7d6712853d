"""`stackledger doctor`: what this host can trace."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from stackledger.errors import CannotTraceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackledger.capture.preconditions import Finding

_STYLES = {
    "ok": "green",
    "exact": "green",
    "approximate": "yellow",
    "unavailable": "bold red",
    "unknown": "yellow",
}
_WIDTH = 80


class Format(enum.StrEnum):
    """How to print it."""

    table = "table"
    json = "json"


def doctor(
    output: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.table,
) -> None:
    """What this host can trace: exact, approximate or unavailable, why, and the remedy.

    Tries every signal by attaching its real program for a moment. Mounts
    tracefs where that is allowed; changes nothing else. Ends with 3 where the
    ledger cannot run.
    """
    from stackledger.capture import doctor as examination

    host = examination.examine_host()
    if output is Format.table:
        _print_lines("Host", host.findings)
    signals = examination.examine_signals(host)
    if output is Format.table:
        _print_lines("Signals", signals)
    else:
        _print_json(host.findings, signals)
    obstacle = examination.ledger_obstacle(host, signals)
    if obstacle is not None:
        raise CannotTraceError(
            "the ledger cannot run here",
            f"{obstacle.name}: {obstacle.why or obstacle.found}",
            hint=obstacle.remedy or None,
        )


def _print_json(host: Sequence[Finding], signals: Sequence[Finding]) -> None:
    import dataclasses
    import json

    groups = {"host": host, "signals": signals}
    rows = {name: [dataclasses.asdict(one) for one in found] for name, found in groups.items()}
    print(json.dumps(rows, indent=2, ensure_ascii=False))


def _print_lines(title: str, findings: Sequence[Finding]) -> None:
    from textwrap import wrap

    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(title, style="bold")
    first = max(len(finding.name) for finding in findings) + 4
    second = first + len("unavailable") + 2
    for finding in findings:
        paragraphs = [finding.found, finding.why] if finding.why else [finding.found]
        room = _WIDTH - second
        lines = [line for text in paragraphs for line in wrap(text, room, break_long_words=False)]
        console.print(f"  {finding.name}".ljust(first), end="")
        console.print(finding.state.ljust(second - first), style=_STYLES[finding.state], end="")
        console.print(lines[0])
        for line in lines[1:]:
            console.print(" " * second + line)
        if finding.remedy:
            console.print(f"    $ {finding.remedy}", style="bold")
    console.print()
