"""Stored predictions as the page compares them: today, each option, what it costs and saves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.report.format import NO_VALUE, count, duration, money, share
from stackledger.report.shown import text
from stackledger.report.whatif import verdict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from stackledger.analysis.prediction import Figure, Option, Outcome, Prediction

_PREDICTIONS = 5
_SLO = {True: "holds", False: "misses", None: ""}


@dataclass(frozen=True, slots=True)
class OptionLine:
    """One option (or today): figures as texts; `refused` says why there are none.

    `p99_width` and the interval's ends are in percent of the largest p99 of the table.
    """

    name: str
    today: bool
    chosen: bool
    mean: str
    p99: str
    p99_interval: str
    p99_width: float
    low: float
    high: float
    busiest: str
    monthly: str
    change: str
    per_ms: str
    slo: str
    notes: str
    refused: str


@dataclass(frozen=True, slots=True)
class OptionTable:
    """One prediction: its answer, what it was asked, its lines, and what weakens it."""

    name: str
    verdict: str
    asked: str
    has_slo: bool
    lines: list[OptionLine]
    notes: list[str]


def option_tables(predictions: Iterable[Prediction]) -> tuple[list[OptionTable], int]:
    """Return the newest predictions, and how many older ones are left out."""
    newest = sorted(predictions, key=lambda one: (one.made_at, one.name), reverse=True)
    return [_table(one) for one in newest[:_PREDICTIONS]], max(0, len(newest) - _PREDICTIONS)


def _table(told: Prediction) -> OptionTable:
    outcomes = [told.before, *(one.after for one in told.options if one.after is not None)]
    longest = max(max(one.latency.p99.high, one.latency.p99.value) for one in outcomes) or 1.0
    lines = [_line("today, measured", told.before, told.currency, longest, today=True)]
    lines += [_option(one, told, longest) for one in told.options]
    asked = [
        f"endpoint {text(told.endpoint)}" if told.endpoint is not None else "all endpoints",
        f"model {text(told.model)}",
        f"{count(told.requests)} requests",
    ]
    if told.load != 1:
        asked.append(f"{told.load:g} times today's load")
    if told.slo is not None:
        asked.append(f"objective {text(told.slo.figure)} < {duration(told.slo.limit_ns)}")
    made = told.made_at[:16].replace("T", " ")
    asked.append(f"ranked by {text(told.ranked_by)}, made {text(made)} UTC")
    error = told.replayed.latency.mean.value / (told.before.latency.mean.value or 1.0) - 1
    return OptionTable(
        name=text(told.name, 80),
        verdict=text(verdict(told), 400),
        asked=" · ".join(asked),
        has_slo=told.slo is not None,
        lines=lines,
        notes=[
            f"the simulator's own error on what was measured: mean {error * 100:+.1f} %",
            *(text(note, 400) for note in told.notes),
        ],
    )


def _option(option: Option, told: Prediction, longest: float) -> OptionLine:
    chosen = option.name == told.chosen
    if option.after is None:
        refused = text(option.refused, 300)
        return _empty(text(option.name), refused)
    return _line(
        text(option.name),
        option.after,
        told.currency,
        longest,
        chosen=chosen,
        per_ms=option.usd_per_ms_saved,
        slo=_SLO[option.holds_slo],
        notes="; ".join(text(note, 200) for note in option.notes),
        before=told.before,
    )


def _empty(name: str, refused: str) -> OptionLine:
    return OptionLine(name, False, False, "", "", "", 0, 0, 0, "", "", "", "", "", "", refused)


def _line(
    name: str,
    outcome: Outcome,
    currency: str,
    longest: float,
    *,
    today: bool = False,
    chosen: bool = False,
    per_ms: Decimal | None = None,
    slo: str = "",
    notes: str = "",
    before: Outcome | None = None,
) -> OptionLine:
    p99 = outcome.latency.p99
    return OptionLine(
        name=name,
        today=today,
        chosen=chosen,
        mean=duration(outcome.latency.mean.value),
        p99=duration(p99.value),
        p99_interval=_interval(p99),
        p99_width=round(100 * p99.value / longest, 1),
        low=round(100 * p99.low / longest, 1),
        high=round(100 * p99.high / longest, 1),
        busiest=_busiest(outcome),
        monthly=money(outcome.monthly_usd, currency),
        change=_change(outcome, before, currency),
        per_ms=money(per_ms, currency),
        slo=slo,
        notes=notes,
        refused="",
    )


def _interval(figure: Figure) -> str:
    low, high = duration(figure.low), duration(figure.high)
    return "" if low == high else f"{low} to {high}"


def _busiest(outcome: Outcome) -> str:
    if not outcome.busiest:
        return NO_VALUE
    used = outcome.busiest_share
    return f"{text(outcome.busiest, 30)} {share(None if used is None else used.value)}"


def _change(outcome: Outcome, before: Outcome | None, currency: str) -> str:
    """Return how much more or less an option costs per month than today, "" for today."""
    if before is None or before.monthly_usd is None or outcome.monthly_usd is None:
        return ""
    change = outcome.monthly_usd - before.monthly_usd
    return f"{'+' if change > 0 else ''}{money(change, currency)}"
