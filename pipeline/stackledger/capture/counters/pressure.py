"""Pressure: how long tasks waited for CPU, memory and I/O, from /proc/pressure."""

from __future__ import annotations

from contextlib import suppress

from stackledger.capture.counters.files import Counts, Tables, since, text

_RESOURCES = ("cpu", "memory", "io", "irq")
_US = 1000


class Pressure:
    """Rows of host_pressure: none where the kernel was built or started without it."""

    def __init__(self) -> None:
        self._before: dict[str, Counts] = {}
        self._before_ns = 0

    def rows(self, now_ns: int) -> Tables:
        """Return the waits since the last call."""
        after = {}
        for resource in _RESOURCES:
            # Switched off, the files are there and cannot be read.
            with suppress(OSError):
                after[resource] = totals(text(f"/proc/pressure/{resource}"))
        found = []
        for resource, now in after.items():
            grown = since(self._before[resource], now) if resource in self._before else None
            if grown is not None:
                interval_ns = now_ns - self._before_ns
                found.append({"interval_ns": interval_ns, "resource": resource, **grown})
        self._before, self._before_ns = after, now_ns
        return {"host_pressure": found}


def totals(pressure: str) -> Counts:
    """Return some_ns and full_ns of one file, those it has."""
    found = {}
    for line in pressure.splitlines():
        kind, _, rest = line.partition(" ")
        found[f"{kind}_ns"] = int(rest.rpartition("total=")[2]) * _US
    return found
