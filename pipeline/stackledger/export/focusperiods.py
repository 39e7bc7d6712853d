"""The window of a capture as FOCUS writes time: whole seconds, by calendar month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Period:
    """A part of the window within one calendar month; `weight_ns` is how long it is."""

    start: datetime
    end: datetime
    billing_start: datetime
    billing_end: datetime
    weight_ns: int


def periods(from_ts_ns: int, until_ts_ns: int) -> list[Period]:
    """Return the window by calendar month, widened to whole seconds at both ends.

    FOCUS writes times in whole seconds, and a charge lies within one billing period.
    """
    found: list[Period] = []
    at = from_ts_ns
    until_ts_ns = max(until_ts_ns, from_ts_ns + 1)
    while at < until_ts_ns:
        start = datetime.fromtimestamp(at // 10**9, UTC)
        first = start.replace(day=1, hour=0, minute=0, second=0)
        following = (first + timedelta(days=32)).replace(day=1)
        upto = min(until_ts_ns, int(following.timestamp()) * 10**9)
        end = datetime.fromtimestamp(-(-upto // 10**9), UTC)
        found.append(Period(start, end, first, following, upto - at))
        at = upto
    return found
