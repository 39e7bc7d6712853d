"""Causes numbered events that a capture has to show: failing opens, and failing execs.

    python numbered.py PREFIX CLOCKS

Every 2 ms a file PREFIX/NUMBER that does not exist is opened, every 20 ms a program of such
a name is started. CLOCKS is a file that this process keeps mapped: of each number the boot
clock before and after it, in nanoseconds, and 0 where it has not been caused yet. It says
"ready" and goes on until it is killed.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import sys
import time
from pathlib import Path
from typing import NamedTuple

TABLES = ("file_open", "exec")
_SLOTS = 100_000  # 200 s
_PAUSE_S = 0.002
_EXEC_EVERY = 10
_ENTRY = struct.Struct("=qq")


class Event(NamedTuple):
    """One event that was caused, between two readings of the boot clock."""

    number: int
    before_ns: int
    after_ns: int


def make(clocks: Path) -> None:
    """Make the file that the load writes its clocks into."""
    with clocks.open("wb") as file:
        file.truncate(_SLOTS * _ENTRY.size)


def caused(clocks: Path, table: str) -> list[Event]:
    """Return the events caused so far that belong into a table, in their order."""
    events = [
        Event(number, before, after)
        for number, (before, after) in enumerate(_ENTRY.iter_unpack(clocks.read_bytes()))
        if after
    ]
    return [one for one in events if (one.number % _EXEC_EVERY == 0) == (table == "exec")]


def _run(prefix: str, clocks: Path) -> None:
    with clocks.open("r+b") as file:
        kept = mmap.mmap(file.fileno(), 0)
    print("ready", flush=True)
    for number in range(_SLOTS):
        name = f"{prefix}/{number}"
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        with contextlib.suppress(FileNotFoundError):
            if number % _EXEC_EVERY:
                os.open(name, os.O_RDONLY)
            else:
                os.posix_spawn(name, [name], {})
        after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        kept[number * _ENTRY.size : (number + 1) * _ENTRY.size] = _ENTRY.pack(before, after)
        time.sleep(_PAUSE_S)


if __name__ == "__main__":
    _run(sys.argv[1], Path(sys.argv[2]))
