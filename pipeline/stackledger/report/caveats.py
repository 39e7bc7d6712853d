"""What a reader must know before trusting the page: losses, gaps, a small sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.report.format import count, share
from stackledger.report.shown import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackledger.analysis.attribution import Attribution
    from stackledger.report.pagedata import LossRow, Overview

_UNEXPLAINED = 0.02
_LINKED = 0.99
_FEW = 100


@dataclass(frozen=True, slots=True)
class Caveat:
    """One sentence; a `grave` one weakens every figure of the page."""

    text: str
    grave: bool


def caveats(
    told: Overview,
    attribution: Attribution | None,
    losses: Sequence[LossRow],
    unexplained_share: float,
) -> list[Caveat]:
    """Return what weakens the page, the gravest first."""
    found = [*_capture(told), *_losses(losses), *_dropped(losses)]
    if attribution is not None:
        found += _ledger(told, attribution, unexplained_share)
    return sorted(found, key=lambda one: not one.grave)


def _capture(told: Overview) -> list[Caveat]:
    if told.stopped:
        words = f"To cost no more than was allowed, probes were stopped: {text(told.stopped, 400)}."
        return [Caveat(f"{words} What they record is missing from then on.", True)]
    if told.state == "complete":
        return []
    reason = {
        "recording": "it was still being written, or was cut off",
        "failed": "a probe or the recording itself ended early",
    }.get(told.state, f"its state is {text(told.state, 40)}")
    return [Caveat(f"This capture is incomplete: {reason}. Later events are missing.", True)]


def _losses(losses: Sequence[LossRow]) -> list[Caveat]:
    found = []
    for row in losses:
        gone = (row.lost or 0) + row.undecodable
        made = row.received + gone if row.produced is None else row.produced
        if gone > 0:
            part = share(gone / made) if made else "–"
            found.append(
                Caveat(
                    f"Events were lost: {count(gone)} of {count(made)} rows of"
                    f" {text(row.table, 40)} ({part}). Counts, rates and costs are too low by"
                    " about as much, and some requests lack a layer.",
                    True,
                )
            )
        elif row.produced is None:
            found.append(
                Caveat(
                    f"The kernel's own count of {text(row.table, 40)} is missing:"
                    " losses there cannot be ruled out.",
                    False,
                )
            )
    return found


def _dropped(losses: Sequence[LossRow]) -> list[Caveat]:
    rows = sum(row.dropped for row in losses)
    if not rows:
        return []
    return [
        Caveat(
            f"The recording was told to keep only the newest: {count(rows)} older rows were"
            " dropped, and this page begins after them.",
            False,
        )
    ]


def _ledger(told: Overview, attribution: Attribution, unexplained_share: float) -> list[Caveat]:
    found = []
    if unexplained_share > _UNEXPLAINED:
        found.append(
            Caveat(f"{share(unexplained_share)} of the time in this ledger is unexplained.", True)
        )
    if told.linked_share is not None and told.linked_share < _LINKED:
        found.append(
            Caveat(
                f"{share(1 - told.linked_share)} of the calls went to servers that were not"
                " traced; their time is shown as untraced.",
                False,
            )
        )
    if attribution.transactions < _FEW:
        found.append(
            Caveat(
                f"Only {count(attribution.transactions)} transactions were answered:"
                " percentiles of so few say little.",
                False,
            )
        )
    if told.still_open:
        one = told.still_open == 1
        found.append(
            Caveat(
                f"{count(told.still_open)} {'request' if one else 'requests'} had no answer when"
                " the capture or the connection ended: among the slowest below, but not in the"
                " percentiles.",
                False,
            )
        )
    return found
