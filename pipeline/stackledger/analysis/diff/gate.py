"""Limits on a change, as a pipeline states them: `p99 +10%`, `rate -5%`, `errors +0.1%`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stackledger.analysis.diff.answer import Change, Difference

FIGURES = ("mean", "p50", "p95", "p99", "rate", "errors", "cost")
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9}
_WRITTEN = re.compile(
    r"\s*(?P<figure>\w+)\s*(?P<sign>[+-])\s*(?P<amount>\d{1,9}(?:\.\d{1,9})?)\s*(?P<unit>%|ns|us|µs|ms|s)\s*"
)


@dataclass(frozen=True, slots=True)
class Limit:
    """How far a figure may move in one direction; `amount` is a share of 1, or ns."""

    written: str
    figure: str
    sign: int
    amount: float
    relative: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a limit: `failed`, and how sure that is (`few`: nobody can tell)."""

    limit: Limit
    change: Change
    exceeded: bool

    @property
    def failed(self) -> bool:
        """Tell whether it moved too far, and not by chance alone as far as can be told."""
        return self.exceeded and self.change.verdict != "noise"


def read(word: str) -> Limit:
    """Return a limit; raises UsageError."""
    found = _WRITTEN.fullmatch(word)
    hint = f"--fail-if 'p99 +10%' or 'mean +5ms'; one of {', '.join(FIGURES)}"
    if found is None:
        raise UsageError("not a limit", word, hint=hint)
    figure, unit = found["figure"], found["unit"]
    if figure not in FIGURES:
        raise UsageError("no such figure", figure, hint=nearest(figure, FIGURES) or hint)
    times = figure in ("mean", "p50", "p95", "p99")
    if unit != "%" and not times:
        raise UsageError(f"{figure} is no time", word, hint=f"--fail-if '{figure} +10%'")
    amount = float(found["amount"]) / 100 if unit == "%" else float(found["amount"]) * _UNITS[unit]
    # The share of failed requests often was 0 before: its limit is in points.
    return Limit(
        word.strip(),
        figure,
        1 if found["sign"] == "+" else -1,
        amount,
        unit == "%" and figure != "errors",
    )


def check(limits: Iterable[Limit], *, priced: bool) -> None:
    """Raise UsageError where a limit is about costs and nothing is priced."""
    for one in limits:
        if one.figure == "cost" and not priced:
            raise _nothing(one)


def judge(limit: Limit, difference: Difference) -> list[Judged]:
    """Return what the limit says of each figure that it is about; of `cost`, each endpoint's.

    Raises UsageError where the figure is not on both sides.
    """
    if limit.figure == "cost":
        about = difference.of("cost")
    else:
        one = difference.latency(limit.figure)
        about = [one] if one else []
    known = [one for one in about if one.change is not None]
    if not known:
        raise _nothing(limit)
    return [Judged(limit, one, _exceeded(limit, one)) for one in known]


def _nothing(limit: Limit) -> UsageError:
    hint = "--model MODEL prices it" if limit.figure == "cost" else "both need requests"
    return UsageError("nothing to compare for the limit", limit.written, hint=hint)


def _exceeded(limit: Limit, change: Change) -> bool:
    moved = change.change_share if limit.relative else change.change
    if moved is None:
        # From nothing to something.
        moved = float("inf") if (change.change or 0) > 0 else 0.0
    return moved * limit.sign > limit.amount
