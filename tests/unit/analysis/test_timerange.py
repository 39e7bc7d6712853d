"""Words for instants and ranges, and what is none."""

from __future__ import annotations

import pytest

from stackledger.analysis.timerange import TimeRange, instant, resolve
from stackledger.durations import nanoseconds
from stackledger.errors import NoSuchCaptureError, UsageError

S = 10**9
# 2026-01-02 03:04:05 UTC, for a minute.
START = 1_767_323_045 * S
END = START + 60 * S
MIDNIGHT = START // (86_400 * S) * 86_400 * S


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("+10s", START + 10 * S),
        ("+1500ms", START + 3 * S // 2),
        ("+0s", START),
        ("-0", END),
        ("-10s", END - 10 * S),
        ("-1m", START),
        ("03:04:06", START + S),
        ("3:04:06.5", START + 3 * S // 2),
        ("03:05", START + 55 * S),
        ("2026-01-02T03:04:06Z", START + S),
        ("2026-01-02 03:04:06", START + S),
        ("2026-01-02T04:04:06.25+01:00", START + 5 * S // 4),
        (str(START + 7), START + 7),
    ],
)
def test_an_instant(word, wanted):
    assert instant(word, START, END) == wanted


def test_a_time_of_day_after_midnight_is_the_next_days():
    evening = MIDNIGHT + 86_399 * S
    assert instant("00:00:01", evening, evening + 5 * S) == MIDNIGHT + 86_401 * S
    assert instant("23:59:59", evening, evening + 5 * S) == evening


@pytest.mark.parametrize(
    "word", ["", "soon", "+", "+s", "-x", "25:00:00", "03:60", "2026-13-01", "+10 parsecs", "1e9"]
)
def test_what_is_no_instant(word):
    with pytest.raises(UsageError):
        instant(word, START, END)


def test_ranges():
    assert resolve(TimeRange(), START, END) == (None, None)
    assert resolve(TimeRange(last="7s"), START, END) == (END - 7 * S, None)
    assert resolve(TimeRange(last="1h"), START, END) == (END - 3600 * S, None)
    assert resolve(TimeRange(until="+20s", last="5s"), START, END) == (
        START + 15 * S,
        START + 20 * S,
    )
    assert resolve(TimeRange("-10s", "2030-01-01"), START, END) == (END - 10 * S, 1_893_456_000 * S)


@pytest.mark.parametrize(
    ("words", "failure"),
    [
        (TimeRange("+20s", "+10s"), UsageError),
        (TimeRange("+10s", "+10s"), UsageError),
        (TimeRange("+10s", None, "5s"), UsageError),
        (TimeRange(last="0s"), UsageError),
        (TimeRange("2030-01-01"), NoSuchCaptureError),
        (TimeRange(until="2020-01-01"), NoSuchCaptureError),
        (TimeRange("+60s"), NoSuchCaptureError),
    ],
)
def test_what_is_no_range_of_the_capture(words, failure):
    with pytest.raises(failure):
        resolve(words, START, END)


def test_lengths():
    words = {
        "30s": 30 * S,
        "500ms": S // 2,
        "2m": 120 * S,
        "1h": 3600 * S,
        "30": 30 * S,
        "1.5s": 3 * S // 2,
    }
    assert {word: nanoseconds(word) for word in words} == words
    for word in ("0", "-1s", "s", "1d", "1.s", ""):
        with pytest.raises(UsageError, match="not a time"):
            nanoseconds(word)
