"""Writes numbers for files that other programs open: decimals in full."""

from __future__ import annotations

from decimal import Decimal


def number(value: Decimal) -> str:
    """Return a decimal written out: no exponent, no zeros behind the last figure."""
    written = f"{value:f}"
    if "." in written:
        written = written.rstrip("0").rstrip(".")
    return "0" if written == "-0" else written
