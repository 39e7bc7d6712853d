"""The two clocks: bpftrace's (since boot) and the wall's."""

from __future__ import annotations

import time

from stackledger.manifest import Anchor

_TRIES = 5


def anchor() -> Anchor:
    """Return the tightest of a few readings of both clocks."""
    readings = []
    for _ in range(_TRIES):
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        wall = time.clock_gettime_ns(time.CLOCK_REALTIME)
        after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        readings.append(Anchor((before + after) // 2, wall, (after - before + 1) // 2))
    return min(readings, key=lambda reading: reading.error_ns)
