"""What a transaction costs on two sides, by root endpoint."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stackledger.analysis.diff.answer import Change

if TYPE_CHECKING:
    from stackledger.analysis.costresult import CostResult, TransactionCost


def changes(before: CostResult, after: CostResult, currency: str) -> list[Change]:
    """Return one figure per root endpoint: the fully loaded cost of one transaction.

    The interval is that of two independent means, of the statistical error alone:
    prices are the same on both sides.
    """
    was = {one.endpoint: one for one in before.transactions}
    now = {one.endpoint: one for one in after.transactions}
    return [
        _change(endpoint, was.get(endpoint), now.get(endpoint), currency)
        for endpoint in sorted({*was, *now})
    ]


def _change(
    endpoint: str, was: TransactionCost | None, now: TransactionCost | None, currency: str
) -> Change:
    here = None if was is None else float(was.loaded_usd)
    there = None if now is None else float(now.loaded_usd)
    low = high = None
    verdict = "new" if here is None else "gone" if there is None else "few"
    errors = [_half(one) for one in (was, now) if one is not None]
    if here is not None and there is not None and None not in errors:
        half = math.hypot(*(error for error in errors if error is not None))
        low, high = there - here - half, there - here + half
        verdict = "more" if low > 0 else "less" if high < 0 else "noise"
    return Change("cost", endpoint, "loaded", currency, here, there, low, high, verdict)


def _half(cost: TransactionCost) -> float | None:
    if cost.statistical_low_usd is None or cost.statistical_high_usd is None:
        return None
    return float(cost.statistical_high_usd - cost.statistical_low_usd) / 2
