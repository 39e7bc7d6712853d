"""Reads an objective as people write it: `p99 < 200ms`."""

from __future__ import annotations

import re

from stackledger.analysis.prediction import FIGURES, Slo
from stackledger.errors import UsageError

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9}
_WRITTEN = re.compile(r"\s*(\w+)\s*<=?\s*(\d{1,12}(?:\.\d{1,9})?)\s*(ns|us|µs|ms|s)\s*")


def read(word: str) -> Slo:
    """Return the objective; raises UsageError."""
    found = _WRITTEN.fullmatch(word)
    if not found or found[1] not in FIGURES or not float(found[2]):
        raise UsageError(
            "not an objective",
            word,
            hint=f"--slo 'p99 < 200ms'; one of {', '.join(FIGURES)}; ns, us, ms or s",
        )
    return Slo(found[1], round(float(found[2]) * _UNITS[found[3]]))
