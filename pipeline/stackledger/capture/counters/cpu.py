"""CPU time of the host and of each core, what the scheduler did, load, network queues."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass

from stackledger.capture.counters.files import Counts, Row, Tables, since_32, text
from stackledger.capture.counters.memory import meminfo

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
# Of a line of /proc/stat: user and nice; system, irq and softirq; and so on.
_TIMES = {
    "user_ns": (0, 1),
    "system_ns": (2, 5, 6),
    "iowait_ns": (4,),
    "steal_ns": (7,),
    "idle_ns": (3,),
    "nice_ns": (1,),
    "irq_ns": (5,),
    "softirq_ns": (6,),
}
_EVENTS = {"ctxt": "context_switches", "intr": "interrupts", "processes": "forks"}
_LEVELS = {"procs_running": "running", "procs_blocked": "blocked"}
# Columns of /proc/net/softnet_stat.
_QUEUE = {"net_processed": 0, "net_dropped": 1, "net_squeezed": 2}
_QUEUE_CPU = 12


@dataclass(frozen=True, slots=True)
class Reading:
    """/proc/stat and /proc/net/softnet_stat at one moment; `cores` by number."""

    at_ns: int
    times: Counts
    cores: dict[int, Counts]
    events: Counts
    levels: Counts
    queues: dict[int, Counts]


class Cpu:
    """Rows of host_cpu and host_core."""

    def __init__(self) -> None:
        self._before: Reading | None = None

    def rows(self, now_ns: int) -> Tables:
        """Return what was counted since the last call; nothing at the first."""
        after = reading(now_ns, text("/proc/stat"), _softnet())
        before, self._before = self._before, after
        if before is None:
            return {}
        memory = meminfo()
        host: Row = {
            "interval_ns": now_ns - before.at_ns,
            **_less(before.times, after.times),
            **_less(before.events, after.events),
            **after.levels,
            **loads(text("/proc/loadavg")),
            "mem_total_bytes": memory.get("MemTotal"),
            "mem_available_bytes": memory.get("MemAvailable"),
        }
        return {"host_cpu": [host], "host_core": cores(before, after)}


def reading(at_ns: int, stat: str, softnet: str) -> Reading:
    """Return the counters in /proc/stat and /proc/net/softnet_stat."""
    times: Counts = {}
    by_core: dict[int, Counts] = {}
    events: Counts = {}
    levels: Counts = {}
    for line in stat.splitlines():
        name, _, rest = line.partition(" ")
        if name == "cpu":
            times = _times(rest)
        elif name.startswith("cpu"):
            by_core[int(name[3:])] = _times(rest)
        elif name in _EVENTS:
            # The line of interrupts lists each after the sum.
            events[_EVENTS[name]] = int(rest.split(None, 1)[0])
        elif name in _LEVELS:
            levels[_LEVELS[name]] = int(rest)
    return Reading(at_ns, times, by_core, events, levels, queues(softnet))


def cores(before: Reading, after: Reading) -> list[Row]:
    """Return a row for each CPU that was on line at both readings."""
    rows = []
    for cpu, now in after.cores.items():
        if cpu not in before.cores:
            continue
        row: Row = {"interval_ns": after.at_ns - before.at_ns, "cpu": cpu}
        row |= _less(before.cores[cpu], now)
        if cpu in before.queues and cpu in after.queues:
            then = before.queues[cpu]
            row |= {name: since_32(then[name], n) for name, n in after.queues[cpu].items()}
        rows.append(row)
    return rows


def queues(softnet: str) -> dict[int, Counts]:
    """Return each CPU's network queue; before Linux 5.10 a line does not name its CPU."""
    found = {}
    for position, line in enumerate(softnet.splitlines()):
        numbers = [int(word, 16) for word in line.split()]
        cpu = numbers[_QUEUE_CPU] if len(numbers) > _QUEUE_CPU else position
        found[cpu] = {name: numbers[index] for name, index in _QUEUE.items()}
    return found


def loads(loadavg: str) -> dict[str, float]:
    """Return the load averages."""
    words = loadavg.split()
    return {
        "load_1": float(words[0]),
        "load_5": float(words[1]),
        "load_15": float(words[2]),
    }


def _softnet() -> str:
    with suppress(OSError):
        return text("/proc/net/softnet_stat")
    return ""


def _times(fields: str) -> Counts:
    ticks = [int(word) for word in fields.split()]
    return {name: sum(ticks[at] for at in indices) * TICK_NS for name, indices in _TIMES.items()}


def _less(before: Counts, after: Counts) -> Counts:
    # iowait and idle are known to go back a little: never below 0.
    return {name: max(0, value - before.get(name, value)) for name, value in after.items()}
