"""Every way in which a command can end badly, and the exit code of each.

    StackledgerError            1  it failed
    ├── UsageError              2  the words given make no sense
    ├── CannotTraceError        3  this host cannot trace
    ├── NoSuchCaptureError      4  no such capture, or nothing in it
    └── LossesExceededError     5  captured, but losses passed the threshold

`cli.main` is the only place that turns one of these into a line on standard
error and an exit code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class StackledgerError(Exception):
    """A failure a user can act on: what happened, the value, and the remedy.

    Printed as `stackledger: error: WHAT: VALUE` and `hint: HINT`.
    """

    exit_code = 1

    def __init__(self, what: str, value: object = None, *, hint: str | None = None) -> None:
        self.what = what
        self.value = None if value is None else str(value)
        self.hint = hint
        super().__init__(what if value is None else f"{what}: {value}")


class UsageError(StackledgerError):
    """An argument, a file or a query that the user has to correct."""

    exit_code = 2


class CannotTraceError(StackledgerError):
    """The host lacks what the ledger needs: privileges, bpftrace, a kernel hook."""

    exit_code = 3


class NoSuchCaptureError(StackledgerError):
    """The named capture is not in the store, or holds no row to answer from."""

    exit_code = 4


class LossesExceededError(StackledgerError):
    """The capture is complete on disk, but lost more events than allowed."""

    exit_code = 5


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return a hint naming the known word closest to `word`, or None."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"did you mean {found[0]}?" if found else None
