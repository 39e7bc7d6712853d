"""All that is written to standard error, and nothing else writes there."""

from __future__ import annotations

import shutil
import sys

from stackledger.errors import StackledgerError

INTERRUPTED_AGAIN = 130

# Text from the traced side may hold terminal control sequences.
_UNPRINTABLE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


def printable(text: str) -> str:
    """Return `text` on one line, with control characters spelled out."""
    return text.translate(_UNPRINTABLE)


def note(text: str) -> None:
    """Write one line of progress or explanation."""
    print(printable(text), file=sys.stderr, flush=True)


def over(text: str) -> None:
    """Write one line over the last one: progress on a terminal; "" leaves it and goes on."""
    width = shutil.get_terminal_size().columns - 1
    end = "" if text else "\n"
    start = "\r\x1b[K" if text else ""
    print(f"{start}{printable(text)[:width]}", end=end, file=sys.stderr, flush=True)


def warning(text: str) -> None:
    """Write one line about something that makes the answer weaker."""
    note(f"stackledger: warning: {text}")


def error(failure: StackledgerError) -> None:
    """Write the error line, and the hint line where there is one."""
    value = "" if failure.value is None else f": {failure.value}"
    note(f"stackledger: error: {failure.what}{value}")
    if failure.hint:
        note(f"hint: {failure.hint}")
