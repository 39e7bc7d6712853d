"""Reads a size as people write it."""

from __future__ import annotations

import re

from stackledger.errors import UsageError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {f"{unit}i": 1 << 10 * power for power, unit in enumerate("KMGT", 1)}
_SIZE = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?\s?([KMGT]i?|)B")


def size_bytes(text: str) -> int:
    """Return "10GB" (10^10) or "512MiB" (2^29) in bytes; raises UsageError."""
    found = _SIZE.fullmatch(text.strip())
    size = 0
    if found:
        unit, fraction = _UNITS[found[3]], found[2] or "0"
        size = int(found[1]) * unit + int(fraction) * unit // 10 ** len(fraction)
    if size <= 0:
        raise UsageError("not a size", text, hint="it is written like 10GB, 500MB or 2GiB")
    return size
