"""The host's counters, second by second: CPU and memory, disks, network interfaces."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from stackledger.capture.writer import arrow_schema
from stackledger.manifest import Anchor

_SECTOR_BYTES = 512
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_KIB = 1024
# Of /proc/stat's "cpu" line: user and nice; system, irq and softirq; and so on.
_CPU = {
    "user_ns": (0, 1),
    "system_ns": (2, 5, 6),
    "iowait_ns": (4,),
    "steal_ns": (7,),
    "idle_ns": (3,),
}

_Counters = dict[str, int]


@dataclass(frozen=True, slots=True)
class Reading:
    """All counters at one moment."""

    boottime_ns: int
    cpu: _Counters
    memory: _Counters
    disks: dict[str, _Counters]
    interfaces: dict[str, _Counters]


def read(clock: Anchor) -> Reading:
    """Return the counters as they are now."""
    return Reading(clock.boottime_ns, _cpu(), _memory(), _disks(), _interfaces())


def difference(before: Reading, after: Reading, offset_ns: int) -> dict[str, pa.Table]:
    """Return the rows of host_cpu, host_disk and host_net for the time between two readings.

    A device that was not there before, or whose counters went back, has no row.
    """
    head = {
        "ts_ns": after.boottime_ns + offset_ns,
        "interval_ns": after.boottime_ns - before.boottime_ns,
    }
    cpu = [{**head, **_less(after.cpu, before.cpu), **after.memory}]
    disks = [
        {**head, "disk": name, "dev": now["dev"], **_less(now, before.disks[name], keep=("dev",))}
        for name, now in after.disks.items()
        if _grown(now, before.disks.get(name))
    ]
    interfaces = [
        {**head, "interface": name, **_less(now, before.interfaces[name])}
        for name, now in after.interfaces.items()
        if _grown(now, before.interfaces.get(name))
    ]
    rows = {"host_cpu": cpu, "host_disk": disks, "host_net": interfaces}
    return {
        table: pa.Table.from_pylist(values, schema=arrow_schema(table))
        for table, values in rows.items()
        if values
    }


def in_flight() -> dict[int, int]:
    """Return how many I/Os are under way now, for every disk that has any."""
    found = {}
    for disk in Path("/sys/block").iterdir():
        with suppress(OSError, ValueError):
            count = sum(int(word) for word in (disk / "inflight").read_text().split())
            major, _, minor = (disk / "dev").read_text().strip().partition(":")
            if count:
                found[int(major) << 20 | int(minor)] = count
    return found


def _less(after: _Counters, before: _Counters, keep: tuple[str, ...] = ()) -> _Counters:
    # iowait is known to go back a little: never below 0.
    return {
        name: value if name in keep else max(0, value - before[name])
        for name, value in after.items()
    }


def _grown(after: _Counters, before: _Counters | None) -> bool:
    return before is not None and all(after[name] >= value for name, value in before.items())


def _cpu() -> _Counters:
    fields = _lines("/proc/stat")[0].split()[1:]
    return {
        name: sum(int(fields[index]) for index in indices) * _TICK_NS
        for name, indices in _CPU.items()
    }


def _memory() -> _Counters:
    values = {line.split(":")[0]: int(line.split()[1]) * _KIB for line in _lines("/proc/meminfo")}
    return {
        "mem_total_bytes": values["MemTotal"],
        "mem_available_bytes": values["MemAvailable"],
    }


def _disks() -> dict[str, _Counters]:
    found = {}
    for line in _lines("/proc/diskstats"):
        words = line.split()
        name, numbers = words[2], [int(word) for word in words[3:]]
        if not any(numbers) or not Path("/sys/block", name.replace("/", "!")).is_dir():
            continue
        found[name] = {
            "dev": int(words[0]) << 20 | int(words[1]),
            "reads": numbers[0],
            "writes": numbers[4],
            "read_bytes": numbers[2] * _SECTOR_BYTES,
            "write_bytes": numbers[6] * _SECTOR_BYTES,
            "busy_ns": numbers[9] * 1_000_000,
        }
    return found


def _interfaces() -> dict[str, _Counters]:
    found = {}
    for line in _lines("/proc/net/dev")[2:]:
        name, _, numbers = line.partition(":")
        words = numbers.split()
        found[name.strip()] = {"recv_bytes": int(words[0]), "send_bytes": int(words[8])}
    return found


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
