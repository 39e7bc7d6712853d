"""All that is written to standard error, and nothing else writes there."""

from __future__ import annotations

import shutil
import sys

from stackledger.errors import StackledgerError

INTERRUPTED_AGAIN = 130

# Text from the traced side may hold terminal control sequences, and marks that
# turn the direction of what follows.
_UNPRINTABLE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_UNPRINTABLE |= {
    code: f"\\u{code:04x}"
    for code in (0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
}

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
    print(printable(text), file=sys.stderr, flush=True)


def over(text: str) -> None:
    """Write one line over the last one: progress on a terminal; "" leaves it and goes on."""
    global _line_open  # noqa: PLW0603 - there is one terminal
    if text:
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\x1b[K{printable(text)[:width]}", end="", file=sys.stderr, flush=True)
    elif _line_open:
        print(file=sys.stderr, flush=True)
    _line_open = bool(text)


def warning(text: str) -> None:
    """Write one line about something that makes the answer weaker."""
    note(f"stackledger: warning: {text}")


def error(failure: StackledgerError) -> None:
    """Write the error line, and the hint line where there is one."""
    value = "" if failure.value is None else f": {failure.value}"
    note(f"stackledger: error: {failure.what}{value}")
    if failure.hint:
        note(f"hint: {failure.hint}")
