"""A wall clock that is set and a host that sleeps are in the anchors; NTP's turning is neither."""

from __future__ import annotations

import time

from stackledger.analysis.timekeeping import Step, steps, suspended_ns
from stackledger.capture.clock import anchor
from stackledger.manifest import Anchor

SECOND = 1_000_000_000
OFFSET = 1_700_000_000 * SECOND


def at(boot_s: float, *, moved_ns: int = 0, slept_ns: int | None = 0) -> Anchor:
    boottime_ns = int(boot_s * SECOND)
    return Anchor(boottime_ns, boottime_ns + OFFSET + moved_ns, 200, slept_ns)


def test_this_host_s_clocks_just_went_on():
    first = anchor()
    time.sleep(0.05)
    last = anchor()
    assert last.boottime_ns - first.boottime_ns >= 0.05 * SECOND
    assert steps([first, last]) == []
    assert suspended_ns([first, last]) == 0
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    assert abs(last.suspended_ns - now) < SECOND


def test_three_seconds_forth_and_back():
    clock = [at(100), at(110, moved_ns=3 * SECOND), at(120, moved_ns=3 * SECOND), at(130)]
    assert steps(clock) == [
        Step(100 * SECOND, 110 * SECOND, 3 * SECOND),
        Step(120 * SECOND, 130 * SECOND, -3 * SECOND),
    ]


def test_what_ntp_does_is_no_step():
    assert steps([at(100), at(110, moved_ns=5_000_000), at(120, moved_ns=10_000_000)]) == []
    assert steps([at(100), at(100.001, moved_ns=1_300)]) == []


def test_a_sleep_is_as_long_as_the_clocks_went_apart():
    clock = [
        at(100, slept_ns=7 * SECOND),
        at(110, slept_ns=7 * SECOND + 300),
        at(3720, slept_ns=3607 * SECOND),
    ]
    assert suspended_ns(clock) == 3600 * SECOND - 300
    assert steps(clock) == []


def test_captures_of_before_do_not_tell():
    assert suspended_ns([at(100, slept_ns=None), at(110, slept_ns=None)]) == 0
    assert suspended_ns([]) == 0
    assert steps([at(100)]) == []
