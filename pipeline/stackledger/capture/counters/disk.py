"""Disks, from /proc/diskstats, and the I/Os that are under way now."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from stackledger.capture.counters.files import Counts, Row, Tables, since, since_32, text

_SECTOR_BYTES = 512
_MS = 1_000_000
# Columns of /proc/diskstats after the name, and what one is. Its 64-bit counters ...
_COUNTS = {
    "reads": (0, 1),
    "read_merges": (1, 1),
    "read_bytes": (2, _SECTOR_BYTES),
    "writes": (4, 1),
    "write_merges": (5, 1),
    "write_bytes": (6, _SECTOR_BYTES),
    "discards": (11, 1),
    "discard_merges": (12, 1),
    "discard_bytes": (13, _SECTOR_BYTES),
    "flushes": (15, 1),
}
# ... and the milliseconds, which the kernel prints modulo 2^32.
_TIMES = {
    "read_ns": 3,
    "write_ns": 7,
    "busy_ns": 9,
    "weighted_ns": 10,
    "discard_ns": 14,
    "flush_ns": 16,
}
_IN_FLIGHT = 8
_INT32 = 1 << 31

Reading = dict[tuple[str, int], list[int]]


class Disks:
    """Rows of host_disk."""

    def __init__(self) -> None:
        self._before: Reading = {}
        self._before_ns = 0

    def rows(self, now_ns: int) -> Tables:
        """Return what each whole disk did since the last call."""
        after = reading(text("/proc/diskstats"), _whole_disks())
        found = difference(self._before, after, now_ns - self._before_ns)
        self._before, self._before_ns = after, now_ns
        return {"host_disk": found}


def reading(diskstats: str, whole: set[str]) -> Reading:
    """Return the numbers of each whole disk, by name and dev."""
    found = {}
    for line in diskstats.splitlines():
        words = line.split()
        if words[2] in whole:
            dev = int(words[0]) << 20 | int(words[1])
            found[words[2], dev] = [int(word) for word in words[3:]]
    return found


def difference(before: Reading, after: Reading, interval_ns: int) -> list[Row]:
    """Return a row for each disk of both readings that was ever used.

    One that appeared meanwhile, or whose counters went back, has none: it is
    another disk under the old name.
    """
    rows = []
    for (name, dev), now in after.items():
        then = before.get((name, dev))
        if then is None or not any(now):
            continue
        grown = since(_counts(then), _counts(now))
        if grown is None:
            continue
        in_flight = now[_IN_FLIGHT]
        rows.append(
            {
                "interval_ns": interval_ns,
                "dev": dev,
                "disk": name,
                # It is known to fall below 0, and is printed without a sign.
                "in_flight": in_flight if 0 <= in_flight < _INT32 else 0,
                **grown,
                **{
                    column: since_32(then[at], now[at]) * _MS
                    for column, at in _TIMES.items()
                    if at < len(now)
                },
            }
        )
    return rows


def in_flight() -> dict[int, int]:
    """Return how many I/Os are under way now, for every disk that has any."""
    found = {}
    for disk in Path("/sys/block").iterdir():
        with suppress(OSError, ValueError):
            count = sum(int(word) for word in (disk / "inflight").read_text().split())
            major, _, minor = (disk / "dev").read_text().strip().partition(":")
            if count:
                found[int(major) << 20 | int(minor)] = count
    return found


def _counts(numbers: list[int]) -> Counts:
    # Kernels before 4.18 have no discards, those before 5.5 no flushes.
    return {
        column: numbers[at] * unit for column, (at, unit) in _COUNTS.items() if at < len(numbers)
    }


def _whole_disks() -> set[str]:
    with suppress(OSError):
        return {name.replace("!", "/") for name in os.listdir("/sys/block")}  # noqa: PTH208
    return set()
