"""The files of /proc/PID, parsed: stat, io, status, schedstat, and the number of descriptors."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass

from stackledger.capture.counters.cpu import TICK_NS
from stackledger.capture.counters.files import Counts, record

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Of the words of stat behind the name, the state being the first.
_STATE, _MINFLT, _MAJFLT, _UTIME, _STIME, _THREADS, _START, _RSS = 0, 7, 9, 11, 12, 17, 19, 21
_IO = {
    b"rchar:": "read_call_bytes",
    b"wchar:": "write_call_bytes",
    b"syscr:": "read_calls",
    b"syscw:": "write_calls",
    b"read_bytes:": "read_bytes",
    b"write_bytes:": "write_bytes",
}


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/PID/stat says of a process, all its threads together."""

    comm: str
    state: str
    start_ticks: int
    threads: int
    rss_bytes: int
    counts: Counts

    @property
    def start_ns(self) -> int:
        """Its start on the boot clock."""
        return self.start_ticks * TICK_NS


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread's counters; `raw` is its schedstat, which tells whether it ran since."""

    start_ticks: int
    raw: bytes
    counts: Counts


def stat(line: bytes) -> Stat:
    """Return /proc/PID/stat; the name may hold blanks and parentheses: the last one ends it."""
    opening, closing = line.index(b"("), line.rindex(b")")
    words = line[closing + 2 :].split()
    return Stat(
        comm=line[opening + 1 : closing].decode("utf-8", "replace"),
        state=words[_STATE].decode("ascii", "replace"),
        start_ticks=int(words[_START]),
        threads=int(words[_THREADS]),
        rss_bytes=int(words[_RSS]) * _PAGE_BYTES,
        counts={
            "user_ns": int(words[_UTIME]) * TICK_NS,
            "system_ns": int(words[_STIME]) * TICK_NS,
            "minor_faults": int(words[_MINFLT]),
            "major_faults": int(words[_MAJFLT]),
        },
    )


def schedstat(line: bytes) -> Counts:
    """Return time on a CPU and in a run queue; nothing where the kernel keeps neither."""
    words = line.split()
    if len(words) < 2 or set(words) == {b"0"}:
        return {}
    return {"cpu_ns": int(words[0]), "runq_ns": int(words[1])}


def switches(status: bytes) -> Counts:
    """Return a thread's context switches: the last two lines of its status."""
    found = {}
    at = status.rfind(b"\nvoluntary_ctxt_switches:")
    for line in status[at + 1 :].splitlines() if at >= 0 else ():
        name, _, value = line.partition(b":")
        if name == b"voluntary_ctxt_switches":
            found["voluntary_switches"] = int(value)
        elif name == b"nonvoluntary_ctxt_switches":
            found["involuntary_switches"] = int(value)
    return found


def io_counts(base: str) -> Counts:
    """Return /proc/PID/io; nothing where we may not know it."""
    with suppress(OSError):
        words = record(f"{base}/io").split()
        return {
            _IO[key]: int(value)
            for key, value in zip(words[::2], words[1::2], strict=False)
            if key in _IO
        }
    return {}


def open_fds(base: str) -> int | None:
    """Return how many descriptors are open: Linux 6.2 and later give it as the folder's size."""
    with suppress(OSError):
        return os.stat(f"{base}/fd").st_size or len(os.listdir(f"{base}/fd"))  # noqa: PTH116, PTH208
    return None
