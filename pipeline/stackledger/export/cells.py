"""Writes values for files that other programs open: decimals in full, texts that nobody runs."""

from __future__ import annotations

from decimal import Decimal

from stackledger.diagnostics import printable

# A spreadsheet takes a cell that begins so for a formula; a tab or line end is spelled out.
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def number(value: Decimal) -> str:
    """Return a decimal written out: no exponent, no zeros behind the last figure."""
    written = f"{value:f}"
    if "." in written:
        written = written.rstrip("0").rstrip(".")
    return "0" if written == "-0" else written


def traced(text: str | None) -> str | None:
    """Return text of a traced program so that no spreadsheet runs it; "" and None stay.

    An apostrophe goes before what would begin a formula: a spreadsheet hides it.
    """
    if not text:
        return text
    shown = printable(text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown
