"""Picks among options: ranked by dollars per millisecond saved, or the cheapest that holds."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackledger.analysis.prediction import Option, Outcome, Slo

_NS_PER_MS = 1_000_000
# Less of the latency than this is no saving.
_SAVES = 0.02


def usd_per_ms(before: Outcome, after: Outcome, figure: str) -> Decimal | None:
    """Return dollars per month for each millisecond saved, None where none is."""
    old, new = before.latency.figure(figure).value, after.latency.figure(figure).value
    if before.monthly_usd is None or after.monthly_usd is None or old - new < _SAVES * old:
        return None
    more = after.monthly_usd - before.monthly_usd
    return (more * _NS_PER_MS / Decimal(round(old - new))).quantize(Decimal("0.000001"))


def rank(option: Option) -> tuple[int, Decimal, str]:
    if option.after is None:
        return 2, Decimal(0), option.name
    if option.usd_per_ms_saved is None:
        return 1, option.after.monthly_usd or Decimal(0), option.name
    return 0, option.usd_per_ms_saved, option.name


Reason = Literal["holds", "cheapest", "none_holds", "best", "none_helps"]


def chosen(
    options: Sequence[Option], before: Outcome, slo: Slo | None
) -> tuple[str | None, Reason]:
    """Return the option to take, None for none, and why.

    Where today holds the objective, a cheaper option has to do so with its whole interval.
    """
    if slo is None:
        best = next((one for one in options if one.usd_per_ms_saved is not None), None)
        return (best.name, "best") if best else (None, "none_helps")
    if before.latency.figure(slo.figure).value < slo.limit_ns:
        cheaper = [one for one in options if _saves(one, before, slo)]
        return (min(cheaper, key=_price).name, "cheapest") if cheaper else (None, "holds")
    holding = [one for one in options if one.holds_slo and one.after]
    if not holding:
        return None, "none_holds"
    return min(holding, key=_price).name, "cheapest"


def _saves(option: Option, before: Outcome, slo: Slo) -> bool:
    after = option.after
    if after is None or after.monthly_usd is None or before.monthly_usd is None:
        return False
    held = after.latency.figure(slo.figure).high < slo.limit_ns
    return held and after.monthly_usd < before.monthly_usd


def _price(option: Option) -> tuple[Decimal, float]:
    assert option.after is not None
    return option.after.monthly_usd or Decimal(0), option.after.latency.mean.value
