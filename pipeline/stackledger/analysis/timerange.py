"""Part of a capture's time: what `--from`, `--until` and `--last` mean in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from stackledger.durations import nanoseconds
from stackledger.errors import NoSuchCaptureError, UsageError

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?")
_EPOCH = re.compile(r"\d{16,19}")
_NOTHING = re.compile(r"0+(?:\.0+)?\w{0,2}")
_DAY_NS = 86_400 * 10**9
_HINT = "+10s after its start, -10s before its end, 17:05:09, or 2026-11-22T17:05:09Z"


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The words given; None where there was none."""

    begin: str | None = None
    until: str | None = None
    last: str | None = None

    def __bool__(self) -> bool:
        return any(word is not None for word in (self.begin, self.until, self.last))


def resolve(wanted: TimeRange, started_ns: int, ended_ns: int) -> tuple[int | None, int | None]:
    """Return the range in ns since the epoch, its end not included; None where it is open.

    An open side holds all there is: a capture has rows of just before its start and
    of just after its end, what was in flight then.

    Raises UsageError for words that make no range, NoSuchCaptureError where the
    capture has nothing of it.
    """
    if wanted.last is not None and wanted.begin is not None:
        raise UsageError("--from and --last both say where it begins", wanted.last)
    until_ns = ended_ns
    if wanted.until is not None:
        until_ns = instant(wanted.until, started_ns, ended_ns)
    begin_ns = started_ns
    if wanted.begin is not None:
        begin_ns = instant(wanted.begin, started_ns, ended_ns)
    elif wanted.last is not None:
        begin_ns = min(until_ns, ended_ns) - nanoseconds(wanted.last)
    if begin_ns >= ended_ns or until_ns <= started_ns:
        raise NoSuchCaptureError(
            "the capture holds nothing of that time",
            wanted.begin if begin_ns >= ended_ns else wanted.until,
            hint=f"it goes from {_told(started_ns)} to {_told(ended_ns)} (UTC)",
        )
    if begin_ns >= until_ns:
        raise UsageError(
            "the time range ends before it begins", f"{_told(begin_ns)} to {_told(until_ns)}"
        )
    begun = wanted.begin is not None or wanted.last is not None
    return (begin_ns if begun else None), (until_ns if wanted.until is not None else None)


def instant(word: str, started_ns: int, ended_ns: int) -> int:
    """Return one instant in ns since the epoch; raises UsageError."""
    text = word.strip()
    if text.startswith("+"):
        return started_ns + _length(text, word)
    if text.startswith("-"):
        return ended_ns - _length(text, word)
    if _EPOCH.fullmatch(text):
        return int(text)
    if found := _CLOCK.fullmatch(text):
        return _on_the_day(found, word, started_ns, ended_ns)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("not an instant", word, hint=_HINT) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    whole = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (whole // timedelta(microseconds=1)) * 1000


def _length(text: str, word: str) -> int:
    if _NOTHING.fullmatch(text[1:]):
        return 0
    try:
        return nanoseconds(text[1:])
    except UsageError:
        raise UsageError("not an instant", word, hint=_HINT) from None


def _on_the_day(found: re.Match[str], word: str, started_ns: int, ended_ns: int) -> int:
    """Return a time of day (UTC) on the capture's day, or its next one where it goes on."""
    hour, minute, second = (int(part or 0) for part in found.group(1, 2, 3))
    if hour > 23 or minute > 59 or second > 59:
        raise UsageError("no such time of day", word, hint=_HINT)
    fraction_ns = int((found[4] or "").ljust(9, "0"))
    midnight_ns = started_ns // _DAY_NS * _DAY_NS
    at_ns = midnight_ns + ((hour * 60 + minute) * 60 + second) * 10**9 + fraction_ns
    # A capture that goes on after midnight: the time may be tomorrow's.
    if at_ns < started_ns and at_ns + _DAY_NS <= ended_ns:
        return at_ns + _DAY_NS
    return at_ns


def _told(ts_ns: int) -> str:
    seconds, rest = divmod(ts_ns, 10**9)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError):
        return str(ts_ns)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 10**6:03d}"
