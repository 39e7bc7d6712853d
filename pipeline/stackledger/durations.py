"""Reads a length of time as people write it."""

from __future__ import annotations

import re

from stackledger.errors import UsageError

_UNITS_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}
_UNITS_NS["h"] = 60 * _UNITS_NS["m"]
_LENGTH = re.compile(r"(\d+)(?:\.(\d{1,9}))?(ns|us|µs|ms|s|m|h)?")


def nanoseconds(text: str) -> int:
    """Return "30s", "500ms", "2m", "1h" or "30" (seconds) in ns; raises UsageError."""
    found = _LENGTH.fullmatch(text.strip())
    unit = _UNITS_NS[found[3] or "s"] if found else 0
    length = 0
    if found:
        fraction = found[2] or "0"
        length = int(found[1]) * unit + int(fraction) * unit // 10 ** len(fraction)
    if length <= 0:
        raise UsageError("not a time", text, hint="it is written like 30s, 500ms, 2m or 1h")
    return length


def seconds(text: str) -> float:
    """Return `nanoseconds(text)` in seconds."""
    return nanoseconds(text) / 1e9
