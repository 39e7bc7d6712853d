"""The ledger as a tree for the terminal, 80 columns wide."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.text import Text

from stackledger.diagnostics import printable
from stackledger.report.format import count, duration, share
from stackledger.report.verdict import sentence

if TYPE_CHECKING:
    from stackledger.analysis.attribution import Attribution, Band, Line

_STYLES = {
    "cpu": "yellow",
    "runq": "magenta",
    "disk": "red",
    "lock": "bright_magenta",
    "net": "blue",
    "queue": "cyan",
    "unexplained": "bold red",
}
# A part this small is left to the line's own sum.
_LEAST_SHARE = 0.0005


def show(attribution: Attribution, out: TextIO | None = None) -> None:
    """Print the slow band's tree, its excess over the median, and the verdict."""
    console = Console(file=out or sys.stdout, highlight=False)
    band = attribution.slow
    unit = _unit(band.wall_ns)
    who = printable(attribution.endpoint or "all endpoints")
    console.print(
        Text(
            f"{who} · p{attribution.percentile:g} band, {count(band.roots)} of"
            f" {count(attribution.transactions)} transactions,"
            f" {duration(band.from_ns)} to {duration(band.to_ns)}",
            style="bold",
        ),
        soft_wrap=True,
    )
    medians = {(line.layer, line.service): line.own_ns for line in attribution.median.lines}
    head = f"{'layer':<10}{'service':<21}{'time':>10}  {'share':>6}  {'over median':>11}"
    console.print(Text(head, style="dim"), soft_wrap=True)
    for line in band.lines:
        _line(console, line, band, medians.get((line.layer, line.service), 0.0), unit)
    unexplained = sum(line.parts["unexplained_ns"] for line in band.lines)
    excess = band.wall_ns - attribution.median.wall_ns
    _sum(console, "sum = wall time", band.wall_ns, band.wall_ns, unit, excess)
    _sum(console, "of it unexplained", unexplained, band.wall_ns, unit)
    console.print()
    console.print(Text(textwrap.fill(printable(sentence(attribution)), 79), style="bold"))


def _line(console: Console, line: Line, band: Band, median_ns: float, unit: str) -> None:
    name = f"{_cut(printable(line.layer), 9):<10}{_cut(printable(line.service), 20):<21}"
    parts = Text()
    for part, value in sorted(line.parts.items(), key=lambda pair: -pair[1]):
        if value < _LEAST_SHARE * band.wall_ns:
            continue
        word = part.removesuffix("_ns")
        if parts:
            parts.append(" · ")
        parts.append(f"{word} {duration(value, unit)}".removesuffix(f" {unit}"), _STYLES.get(word))
    console.print(
        Text.assemble(
            (name, "bold"),
            f"{duration(line.own_ns, unit):>10}  {share(_share(line.own_ns, band)):>6}",
            f"  {_signed(line.own_ns - median_ns, unit):>11}",
        ),
        soft_wrap=True,
    )
    if parts:
        console.print(Text.assemble("└─ ", parts), soft_wrap=True)


def _sum(
    console: Console, what: str, value_ns: float, whole_ns: float, unit: str, excess: float = 0.0
) -> None:
    over = f"  {_signed(excess, unit):>11}" if excess else ""
    part = share(value_ns / whole_ns if whole_ns else 0.0)
    line = f"{what:<31}{duration(value_ns, unit):>10}  {part:>6}{over}"
    console.print(Text(line), soft_wrap=True)


def _share(value_ns: float, band: Band) -> float:
    return value_ns / band.wall_ns if band.wall_ns else 0.0


def _signed(value_ns: float, unit: str) -> str:
    return ("+" if value_ns >= 0 else "") + duration(value_ns, unit)


def _unit(wall_ns: float) -> str:
    return "µs" if wall_ns < 10**6 else "ms" if wall_ns < 10**10 else "s"


def _cut(word: str, longest: int) -> str:
    return word if len(word) <= longest else word[: longest - 1] + "…"
