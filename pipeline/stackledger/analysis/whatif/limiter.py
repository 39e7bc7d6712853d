"""A disk's limit: so many I/Os and bytes a second, and how it holds back what is beyond.

Some limits space I/Os evenly, a fixed time each. Others give a quota per window, all
of it at once: the cgroup throttle of Linux does, 100 ms at a time
(block/blk-throttle.c: throtl_slice), so that at 400 I/Os per second 40 pass at once
and the 41st waits for the rest of the window. The mean is the same, p99 is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

_NS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class Limit:
    """What a disk does a second, None without a limit; `window_ns` 0: evenly spaced."""

    iops: float | None
    bytes_per_s: float | None
    window_ns: int = 0


class Limiter(Protocol):
    """Answers when I/Os may start; asked in order of `now_ns`."""

    def admit(self, now_ns: float, ios: int, size_bytes: int) -> float:
        """Return when the last of `ios` I/Os of `size_bytes` together may start."""


class Even:
    """Every I/O takes 1/IOPS, or its bytes' time where that is longer; first come, first served."""

    def __init__(self, limit: Limit) -> None:
        self._per_io = _NS_PER_S / limit.iops if limit.iops else 0.0
        self._per_byte = _NS_PER_S / limit.bytes_per_s if limit.bytes_per_s else 0.0
        self._free_ns = 0.0

    def admit(self, now_ns: float, ios: int, size_bytes: int) -> float:
        """Return when they may start: once the time of those before them is over."""
        start = max(now_ns, self._free_ns)
        self._free_ns = start + max(ios * self._per_io, size_bytes * self._per_byte)
        return start


class Windowed:
    """A quota per window; what is left of it at the window's end is lost.

    After a whole window without an I/O the next one begins when one comes.
    """

    def __init__(self, limit: Limit) -> None:
        self._window = float(limit.window_ns)
        share = self._window / _NS_PER_S
        self._quotas = [(one or math.inf) * share for one in (limit.iops, limit.bytes_per_s)]
        self._used = [0.0, 0.0]
        self._begin = self._last = -math.inf

    def admit(self, now_ns: float, ios: int, size_bytes: int) -> float:
        """Return when they may start: at once, or with the window that has room for the last."""
        start = max(now_ns, self._last)
        passed = start - self._begin
        if passed >= self._window:
            self._begin = start if passed >= 2 * self._window else self._begin + self._window
            self._used = [0.0, 0.0]
        wanted = [used + more for used, more in zip(self._used, (ios, size_bytes), strict=True)]
        windows = max(
            math.ceil(amount / quota) - 1 if amount else 0
            for amount, quota in zip(wanted, self._quotas, strict=True)
        )
        if windows > 0:
            self._begin += windows * self._window
            start = self._begin
        self._used = [
            max(0.0, amount - windows * quota) if windows > 0 else amount
            for amount, quota in zip(wanted, self._quotas, strict=True)
        ]
        self._last = start
        return start


def limiter(limit: Limit) -> Limiter:
    """Return a fresh limiter of that kind; a window without room for one I/O is no window."""
    quota = (limit.iops or math.inf) * limit.window_ns / _NS_PER_S
    return Windowed(limit) if limit.window_ns and quota >= 1 else Even(limit)
