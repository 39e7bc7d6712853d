"""Memory as /proc/meminfo has it, and what paging did, from /proc/vmstat."""

from __future__ import annotations

from stackledger.capture.counters.files import Counts, Tables, text

_KIB = 1024
_LEVELS = {
    "total_bytes": "MemTotal",
    "free_bytes": "MemFree",
    "available_bytes": "MemAvailable",
    "buffers_bytes": "Buffers",
    "cached_bytes": "Cached",
    "dirty_bytes": "Dirty",
    "writeback_bytes": "Writeback",
    "slab_bytes": "Slab",
    "slab_reclaimable_bytes": "SReclaimable",
    "anon_bytes": "AnonPages",
    "shared_bytes": "Shmem",
    "committed_bytes": "Committed_AS",
    "commit_limit_bytes": "CommitLimit",
    "swap_total_bytes": "SwapTotal",
    "swap_free_bytes": "SwapFree",
}
# Names of /proc/vmstat, and what one of it is; kernels count reclaim by zone or by who did it.
_EVENTS: dict[str, tuple[int, tuple[str, ...]]] = {
    "swapped_in": (1, ("pswpin",)),
    "swapped_out": (1, ("pswpout",)),
    "paged_in_bytes": (_KIB, ("pgpgin",)),
    "paged_out_bytes": (_KIB, ("pgpgout",)),
    "faults": (1, ("pgfault",)),
    "major_faults": (1, ("pgmajfault",)),
    "reclaimed": (
        1,
        ("pgsteal_kswapd", "pgsteal_direct", "pgsteal_khugepaged", "pgsteal_proactive"),
    ),
    "direct_reclaims": (
        1,
        (
            "allocstall",
            "allocstall_dma",
            "allocstall_dma32",
            "allocstall_normal",
            "allocstall_movable",
            "allocstall_device",
        ),
    ),
    "oom_kills": (1, ("oom_kill",)),
    # One counter for files and memory before Linux 5.9.
    "refaults": (1, ("workingset_refault_file", "workingset_refault")),
}
_WANTED = {name for _, names in _EVENTS.values() for name in names}


class Memory:
    """Rows of host_memory."""

    def __init__(self) -> None:
        self._before: tuple[int, Counts] | None = None

    def rows(self, now_ns: int) -> Tables:
        """Return memory as it is, and what paging did since the last call."""
        after = events(text("/proc/vmstat"))
        before, self._before = self._before, (now_ns, after)
        if before is None:
            return {}
        then_ns, then = before
        told = meminfo()
        row = {
            "interval_ns": now_ns - then_ns,
            **{column: told.get(name) for column, name in _LEVELS.items()},
            **{name: max(0, value - then.get(name, value)) for name, value in after.items()},
        }
        return {"host_memory": [row]}


def meminfo() -> Counts:
    """Return /proc/meminfo in bytes; huge pages are numbers of pages there, and left out."""
    return levels(text("/proc/meminfo"))


def levels(meminfo_text: str) -> Counts:
    """Return the lines of /proc/meminfo that have a unit, in bytes."""
    found = {}
    for line in meminfo_text.splitlines():
        name, _, value = line.partition(":")
        words = value.split()
        if len(words) == 2 and words[1] == "kB":
            found[name] = int(words[0]) * _KIB
    return found


def events(vmstat: str) -> Counts:
    """Return the sums of the counters of /proc/vmstat; a sum of absent ones is left out."""
    told = {}
    for line in vmstat.splitlines():
        name, _, value = line.partition(" ")
        if name in _WANTED:
            told[name] = int(value)
    return {
        column: unit * sum(told.get(name, 0) for name in names)
        for column, (unit, names) in _EVENTS.items()
        if any(name in told for name in names)
    }
