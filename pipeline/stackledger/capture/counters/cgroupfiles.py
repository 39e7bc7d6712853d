"""The files of a cgroup, version 1 and 2, under one set of names.

Source: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of the kernel.
"""

from __future__ import annotations

from contextlib import suppress

from stackledger.capture.counters.cpu import TICK_NS
from stackledger.capture.counters.files import integer, record, text

# v1 says "no limit" with the largest multiple of a page.
_NO_LIMIT = 1 << 62
_US = 1000

Numbers = dict[str, int]
Folders = dict[str, tuple[str, int]]


def read(folders: Folders) -> tuple[Numbers, Numbers]:
    """Return counters and levels of one cgroup: those that its hierarchies have.

    Where both versions tell one figure, version 1's is taken: there its controller is.
    """
    counts: Numbers = {}
    levels: Numbers = {}
    readers = {
        "cgroup2": _unified,
        "cpuacct": _cpuacct,
        "cpu": _quota,
        "memory": _memory,
        "blkio": _blkio,
        "pids": _pids,
    }
    for name, reader in readers.items():
        if name in folders:
            reader(folders[name][0], counts, levels)
    if "file_cache_bytes" in levels:
        levels["memory_cgroup_id"] = folders["memory" if "memory" in folders else "cgroup2"][1]
    return counts, levels


def moved(folders: Folders, counts: Numbers) -> bool:
    """Return whether more than its memory may have moved, by the cheapest of its files.

    Without CPU time nothing is read, written or charged: one file is enough.
    """
    if "cpuacct" in folders:
        return integer(f"{folders['cpuacct'][0]}/cpuacct.usage") != counts.get("cpu_ns")
    if "cgroup2" in folders:
        with suppress(OSError, ValueError, IndexError):
            usage = record(f"{folders['cgroup2'][0]}/cpu.stat").split(None, 2)[1]
            return int(usage) * _US != counts.get("cpu_ns")
    return True


def pairs(content: str) -> Numbers:
    """Return a file of `name number` lines."""
    found = {}
    for line in content.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].isdigit():
            found[words[0]] = int(words[1])
    return found


def io_stat(content: str) -> Numbers:
    """Return the sums over devices of version 2's io.stat; a device without any has no fields."""
    found = dict.fromkeys(("read_bytes", "write_bytes", "reads", "writes"), 0)
    names = {"rbytes": "read_bytes", "wbytes": "write_bytes", "rios": "reads", "wios": "writes"}
    for line in content.splitlines():
        for word in line.split()[1:]:
            key, _, value = word.partition("=")
            if key in names and value.isdigit():
                found[names[key]] += int(value)
    return found


def serviced(content: str) -> tuple[int, int] | None:
    """Return the sums over devices of reads and writes in one of version 1's blkio files.

    None where no device is named: nothing was read, or this kernel (6.10 and later)
    counts only on disks that have a limit set.
    """
    sums = {"Read": 0, "Write": 0}
    devices = [line.split() for line in content.splitlines() if len(line.split()) == 3]
    for _, kind, value in devices:
        if kind in sums:
            sums[kind] += int(value)
    return (sums["Read"], sums["Write"]) if devices else None


def _unified(folder: str, counts: Numbers, levels: Numbers) -> None:
    told = _pairs(f"{folder}/cpu.stat")
    for column, name, unit in (
        ("cpu_ns", "usage_usec", _US),
        ("user_ns", "user_usec", _US),
        ("system_ns", "system_usec", _US),
        ("periods", "nr_periods", 1),
        ("throttled_periods", "nr_throttled", 1),
        ("throttled_ns", "throttled_usec", _US),
    ):
        if name in told:
            counts[column] = told[name] * unit
    _level(f"{folder}/memory.current", "memory_bytes", levels)
    _level(f"{folder}/memory.max", "memory_limit_bytes", levels)
    _file_cache(folder, "", counts, levels)
    _level(f"{folder}/pids.current", "tasks", levels)
    events = _pairs(f"{folder}/memory.events")
    for column, name in (("memory_limit_hits", "max"), ("oom_kills", "oom_kill")):
        if name in events:
            counts[column] = events[name]
    with suppress(OSError):
        counts.update(io_stat(text(f"{folder}/io.stat")))


def _cpuacct(folder: str, counts: Numbers, levels: Numbers) -> None:
    del levels
    _level(f"{folder}/cpuacct.usage", "cpu_ns", counts)
    told = _pairs(f"{folder}/cpuacct.stat")
    for column, name in (("user_ns", "user"), ("system_ns", "system")):
        if name in told:
            counts[column] = told[name] * TICK_NS


def _quota(folder: str, counts: Numbers, levels: Numbers) -> None:
    del levels
    told = _pairs(f"{folder}/cpu.stat")
    for column, name in (
        ("periods", "nr_periods"),
        ("throttled_periods", "nr_throttled"),
        ("throttled_ns", "throttled_time"),
    ):
        if name in told:
            counts[column] = told[name]


def _memory(folder: str, counts: Numbers, levels: Numbers) -> None:
    _level(f"{folder}/memory.usage_in_bytes", "memory_bytes", levels)
    _level(f"{folder}/memory.limit_in_bytes", "memory_limit_bytes", levels)
    if levels.get("memory_limit_bytes", 0) >= _NO_LIMIT:
        del levels["memory_limit_bytes"]
    _file_cache(folder, "total_", counts, levels)
    _level(f"{folder}/memory.failcnt", "memory_limit_hits", counts)
    told = _pairs(f"{folder}/memory.oom_control")
    if "oom_kill" in told:
        counts["oom_kills"] = told["oom_kill"]


def _file_cache(folder: str, prefix: str, counts: Numbers, levels: Numbers) -> None:
    """Add the pages on the lists of files: `file` and `cache` hold shared memory as well.

    And those of them that were read again after reclaim had taken them.
    """
    told = _pairs(f"{folder}/memory.stat")
    names = (f"{prefix}active_file", f"{prefix}inactive_file")
    if all(name in told for name in names):
        levels["file_cache_bytes"] = sum(told[name] for name in names)
    if f"{prefix}workingset_refault_file" in told:
        counts["refaults"] = told[f"{prefix}workingset_refault_file"]


def _blkio(folder: str, counts: Numbers, levels: Numbers) -> None:
    del levels
    # What passed the block layer's throttle, whatever the scheduler: that is every I/O.
    for columns, name in (
        (("reads", "writes"), "serviced"),
        (("read_bytes", "write_bytes"), "service_bytes"),
    ):
        # Kernels before 5.0 sum over children in the file without the suffix, or not at all.
        for suffix in ("_recursive", ""):
            with suppress(OSError):
                told = serviced(text(f"{folder}/blkio.throttle.io_{name}{suffix}"))
                counts.update(zip(columns, told or (), strict=False))
                break


def _pids(folder: str, counts: Numbers, levels: Numbers) -> None:
    del counts
    _level(f"{folder}/pids.current", "tasks", levels)


def _pairs(path: str) -> Numbers:
    with suppress(OSError):
        return pairs(text(path))
    return {}


def _level(path: str, column: str, into: Numbers) -> None:
    value = integer(path)
    if value is not None:
        into[column] = value
