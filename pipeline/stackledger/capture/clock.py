"""The clocks: bpftrace's (since boot), the wall's, and the one that stops while the host sleeps."""

from __future__ import annotations

import time

from stackledger.manifest import Anchor

_TRIES = 5


def anchor() -> Anchor:
    """Return the tightest of a few readings of the clocks."""
    readings = []
    for _ in range(_TRIES):
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        wall = time.clock_gettime_ns(time.CLOCK_REALTIME)
        awake = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        middle, error = (before + after) // 2, (after - before + 1) // 2
        readings.append(Anchor(middle, wall, error, middle - awake))
    return min(readings, key=lambda reading: reading.error_ns)
