"""Keeps a capture's parts in place while somebody reads it and it is still being written.

A reader lists the parts first and opens them later. Meanwhile the recording merges parts
and drops old ones: it removes files only while nobody has the folder locked. Where the file
system knows no locks, a reader may have to ask again.
"""

from __future__ import annotations

import fcntl
import os
import weakref
from contextlib import suppress
from pathlib import Path


class Hold:
    """A lock of a capture's folder, until nobody refers to it any more; raises OSError."""

    def __init__(self, folder: Path) -> None:
        self.handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self.release = weakref.finalize(self, os.close, self.handle)


def reading(folder: Path) -> Hold:
    """Return what has every part stay where it is, others' readings beside it."""
    hold = Hold(folder)
    with suppress(OSError):
        fcntl.flock(hold.handle, fcntl.LOCK_SH)
    return hold


def removing(folder: Path) -> Hold | None:
    """Return what keeps readers out for a moment, None where somebody reads."""
    hold = Hold(folder)
    try:
        fcntl.flock(hold.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        hold.release()
        return None
    except OSError:  # no locks here: nobody has one
        pass
    return hold
