"""All that is written to standard error, and nothing else writes there."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from stackledger.errors import StackledgerError

INTERRUPTED_AGAIN = 130

# Text from the traced side may hold terminal control sequences, and marks that
# turn the direction of what follows.
_UNPRINTABLE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
BIDIRECTIONAL = (0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
_UNPRINTABLE |= {code: f"\\u{code:04x}" for code in BIDIRECTIONAL}

_line_open = False


def printable(text: str) -> str:
    """Return `text` on one line, with control characters spelled out."""
    return text.translate(_UNPRINTABLE)


def on_terminal() -> bool:
    """Return whether somebody watches standard error."""
    return sys.stderr.isatty()


def note(text: str) -> None:
    """Write one line of progress or explanation."""
    over("")
    _write(f"{printable(text)}\n")


def over(text: str) -> None:
    """Write one line over the last one: progress on a terminal; "" leaves it and goes on."""
    global _line_open  # noqa: PLW0603 - there is one terminal
    if text:
        width = shutil.get_terminal_size().columns - 1
        _write(f"\r\x1b[K{printable(text)[:width]}")
    elif _line_open:
        _write("\n")
    _line_open = bool(text)


def _write(text: str) -> None:
    """Write to standard error; where nobody reads it any more, the work goes on."""
    try:
        print(text, end="", file=sys.stderr, flush=True)
    except OSError:
        # What could not be written waits to be: Python would fail of it when it exits.
        with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stderr.fileno())


def warning(text: str) -> None:
    """Write one line about something that makes the answer weaker."""
    note(f"stackledger: warning: {text}")


def error(failure: StackledgerError) -> None:
    """Write the error line, and the hint line where there is one."""
    value = "" if failure.value is None else f": {failure.value}"
    note(f"stackledger: error: {failure.what}{value}")
    if failure.hint:
        note(f"hint: {failure.hint}")
