"""The two clocks: bpftrace's (since boot) and the wall's."""

from __future__ import annotations

import time

import msgspec

_TRIES = 5


class Anchor(msgspec.Struct, frozen=True):
    """One instant on both clocks; `error_ns` is how far apart the readings can be."""

    boottime_ns: int
    realtime_ns: int
    error_ns: int

    @property
    def offset_ns(self) -> int:
        """What to add to the boot clock to get nanoseconds since the epoch."""
        return self.realtime_ns - self.boottime_ns


def anchor() -> Anchor:
    """Return the tightest of a few readings of both clocks."""
    readings = []
    for _ in range(_TRIES):
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        wall = time.clock_gettime_ns(time.CLOCK_REALTIME)
        after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        readings.append(Anchor((before + after) // 2, wall, (after - before + 1) // 2))
    return min(readings, key=lambda reading: reading.error_ns)
