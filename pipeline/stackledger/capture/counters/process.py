"""What each process did, from /proc/PID: cheap for those that did nothing.

A process with one thread that has not run did nothing at all, and one read of
its schedstat tells. Of the others the rest is read: stat and io; where these say
that something was done also status, the number of descriptors, and schedstat and
status of each thread, for these two files of the process tell of its first thread
alone.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from stackledger.capture.counters.files import Counts, Row, Tables, record
from stackledger.capture.counters.procfiles import (
    Stat,
    Thread,
    io_counts,
    open_fds,
    schedstat,
    stat,
    switches,
)

# Threads that came and went between two looks are in stat and io, not in these.
_OF_THREADS = ("cpu_ns", "runq_ns", "voluntary_switches", "involuntary_switches")


_NOBODY = Thread(0, b"", {})


@dataclass(slots=True)
class _Known:
    """A process as it was last read; `raw` is what tells whether it did anything since."""

    at_ns: int
    start_ticks: int
    raw: bytes
    counts: Counts = field(default_factory=dict)
    threads: dict[int, Thread] = field(default_factory=dict)


class Processes:
    """Rows of process_stat; `active` are the processes of the last ones, `alive` all of them."""

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}
        self._before_ns = 0
        self.active: set[int] = set()

    @property
    def alive(self) -> Collection[int]:
        """The processes that there were at the last call."""
        return self._known.keys()

    def rows(self, now_ns: int) -> Tables:
        """Return a row for each process that did anything since its last one.

        One that started since the last call counts from zero; of one that ended
        since, what it did meanwhile is not known.
        """
        found = []
        alive = {}
        for name in os.listdir("/proc"):  # noqa: PTH208
            if not name.isdigit():
                continue
            with suppress(OSError, ValueError, IndexError):  # it ended meanwhile
                pid = int(name)
                known = self._known.get(pid)
                if known is not None and _idle(pid, known):
                    alive[pid] = known
                    continue
                row, alive[pid] = self._read(pid, known, now_ns)
                if row is not None:
                    found.append(row)
        self._known, self._before_ns = alive, now_ns
        self.active = {row["pid"] for row in found}
        return {"process_stat": found}

    def _read(self, pid: int, known: _Known | None, now_ns: int) -> tuple[Row | None, _Known]:
        base = f"/proc/{pid}"
        raw = record(f"{base}/schedstat")
        told = stat(record(f"{base}/stat"))
        if known is not None and known.start_ticks != told.start_ticks:
            known = None  # another process with the same number
        counts = {**told.counts, **io_counts(base)}
        if known is not None and _at_rest(pid, known, told, raw, counts):
            return None, known
        threads = dict(_threads(pid, told, raw, known))
        # Without schedstat's figures (all 0), or with more threads, it tells nothing.
        tells = len(threads) == 1 and "cpu_ns" in threads.get(pid, _NOBODY).counts
        now = _Known(now_ns, told.start_ticks, raw if tells else b"", counts, threads)
        if known is None and self._before_ns == 0:
            return None, now
        # Not there at the last call, so it is new: it counts from zero.
        then = known if known is not None else _Known(told.start_ns, 0, b"")
        row = difference(then, now)
        if row is None:
            return None, now
        row |= {
            "interval_ns": max(1, now_ns - then.at_ns),
            "pid": pid,
            "start_ts_ns": told.start_ns,
            "comm": told.comm,
            "state": told.state,
            "rss_bytes": told.rss_bytes,
            "threads": told.threads,
            "open_fds": open_fds(base),
        }
        return row, now


def difference(then: _Known, now: _Known) -> Row | None:
    """Return what was counted between two looks at one process; None for nothing."""
    # Of user and system time the kernel moves ticks from one to the other: never below 0.
    row: Row = {name: max(0, n - then.counts.get(name, 0)) for name, n in now.counts.items()}
    sums: Counts = {}
    for tid, thread in now.threads.items():
        before = then.threads.get(tid)
        if before is None or before.start_ticks != thread.start_ticks:
            before = None
        for name, value in thread.counts.items():
            past = 0 if before is None else before.counts.get(name, 0)
            sums[name] = sums.get(name, 0) + max(0, value - past)
    row |= {name: sums[name] for name in _OF_THREADS if name in sums}
    return row if any(row.values()) else None


def _idle(pid: int, known: _Known) -> bool:
    """Return whether a process of one thread has not run since: it is the same one then too."""
    return bool(known.raw) and record(f"/proc/{pid}/schedstat") == known.raw


def _at_rest(pid: int, known: _Known, told: Stat, raw: bytes, counts: Counts) -> bool:
    """Return whether nothing that its threads have in common moved: they are not looked at.

    A thread that ran for less than a tick of the clock, and neither read nor wrote, is
    counted later, in a row with a longer interval.
    """
    first = known.threads.get(pid)
    return (
        told.threads == len(known.threads) > 1
        and first is not None
        and first.raw == raw
        and known.counts == counts
    )


def _threads(
    pid: int, told: Stat, raw: bytes, known: _Known | None
) -> Iterator[tuple[int, Thread]]:
    """Yield the threads with their counters; status is read of those that ran."""
    names = [str(pid)]
    if told.threads > 1:
        names = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
    for name in names:
        with suppress(OSError, ValueError, IndexError):  # it ended meanwhile
            base = f"/proc/{pid}/task/{name}" if told.threads > 1 else f"/proc/{pid}"
            line = raw if len(names) == 1 else record(f"{base}/schedstat")
            before = known.threads.get(int(name)) if known is not None else None
            if before is not None and before.raw == line and line:
                yield int(name), before
                continue
            start = stat(record(f"{base}/stat")).start_ticks if len(names) > 1 else told.start_ticks
            counts = {**schedstat(line), **switches(record(f"{base}/status"))}
            yield int(name), Thread(start, line, counts)
