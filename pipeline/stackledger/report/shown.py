"""Turns traced text into text that is safe to show: short, on one line, in one direction."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from stackledger.diagnostics import printable

# What reorders, hides or breaks text, and halves of characters: spelled out.
_TRICKY = re.compile(
    "[\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff]"
)


def text(traced: str | None, limit: int = 120) -> str:
    """Return the text with control characters spelled out, cut after `limit` characters."""
    if not traced:
        return "(unknown)"
    # Cut first: ten kilobytes of escapes need not be made only to be dropped.
    said = _TRICKY.sub(lambda found: f"\\u{ord(found[0]):04x}", printable(traced[: limit + 1]))
    return said if len(said) <= limit else f"{said[: limit - 1]}…"


def moment(ts_ns: int) -> str:
    """Return a point in time in UTC: "2026-03-01 12:00:05 UTC"."""
    return datetime.fromtimestamp(ts_ns // 10**9, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
