"""Asks every subject once a second, the dear ones less often, and makes tables of what they say."""

from __future__ import annotations

import time
from typing import Protocol

import pyarrow as pa

from stackledger import diagnostics
from stackledger.capture.counters.cgroup import Cgroups
from stackledger.capture.counters.cpu import Cpu
from stackledger.capture.counters.disk import Disks
from stackledger.capture.counters.files import Tables
from stackledger.capture.counters.limits import Limits
from stackledger.capture.counters.memory import Memory
from stackledger.capture.counters.namespaces import Namespaces
from stackledger.capture.counters.net import Interfaces
from stackledger.capture.counters.pressure import Pressure
from stackledger.capture.counters.process import Processes
from stackledger.capture.counters.protocol import Protocols
from stackledger.capture.sockets import Sockets
from stackledger.capture.writer import arrow_schema
from stackledger.manifest import Anchor

# Two readings closer than this say little: the last second of a capture may be short.
_SHORTEST_NS = 100_000_000
# Of one CPU: a subject that takes more is asked less often, and its intervals are longer.
_SHARE = 0.05


class Subject(Protocol):
    """One subject of counters: rows of its tables since the last call, none at the first."""

    def rows(self, now_ns: int) -> Tables:
        """Return the rows, without their time."""


def subjects(namespaces: Namespaces, processes: Processes) -> list[Subject]:
    """Return every subject, at its beginning."""
    return [
        Cpu(),
        Memory(),
        Pressure(),
        Disks(),
        Interfaces(),
        Protocols(namespaces),
        Limits(),
        Cgroups(),
        processes,
    ]


class Sampler:
    """All subjects; made when the recording begins, for then is when they begin to count."""

    def __init__(self, clock: Anchor) -> None:
        namespaces = Namespaces()
        self._processes = Processes()
        self._sockets = Sockets(namespaces)
        self._subjects = subjects(namespaces, self._processes)
        self._failed: set[str] = set()
        self._due_ns: dict[str, int] = {}
        self._before_ns = clock.boottime_ns
        self._ask(clock.boottime_ns)
        # The first look is at everything, and no measure of the next ones.
        self._due_ns.clear()
        self._list_sockets(clock.boottime_ns, 0)

    def tick(self, clock: Anchor, offset_ns: int) -> dict[str, pa.Table]:
        """Return the rows since the last tick by table; none within a tenth of a second of it."""
        now_ns = clock.boottime_ns
        if now_ns - self._before_ns < _SHORTEST_NS:
            return {}
        self._before_ns = now_ns
        found = {}
        for table, rows in self._ask(now_ns).items():
            for row in rows:
                row["ts_ns"] = now_ns + offset_ns
                if "start_ts_ns" in row:
                    row["start_ts_ns"] += offset_ns
            if rows:
                found[table] = pa.Table.from_pylist(rows, schema=arrow_schema(table))
        listed = self._list_sockets(now_ns, offset_ns)
        return found if listed is None else {**found, "socket": listed}

    def close(self) -> None:
        """Close what is open to the kernel."""
        self._sockets.close()

    def _list_sockets(self, now_ns: int, offset_ns: int) -> pa.Table | None:
        return self._sockets.sample(
            now_ns, offset_ns, self._processes.alive, self._processes.active
        )

    def _ask(self, now_ns: int) -> Tables:
        found: Tables = {}
        for subject in self._subjects:
            name = type(subject).__name__.lower()
            if now_ns < self._due_ns.get(name, 0):
                continue
            begun_s = time.thread_time()
            try:
                found |= subject.rows(now_ns)
            except (OSError, ValueError, LookupError) as failure:
                # A kernel that writes one file another way costs its rows, not the capture.
                if name not in self._failed:
                    self._failed.add(name)
                    diagnostics.warning(f"host counters: no rows of {name}: {failure!r}")
            spent_ns = int((time.thread_time() - begun_s) * 1e9)
            self._due_ns[name] = now_ns + int(spent_ns / _SHARE)
        return found
