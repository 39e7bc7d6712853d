"""A database whose page cache is too small: reads that were in memory come from the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackledger.analysis import figures
from stackledger.analysis.experiment import KERNEL, sql
from stackledger.labs import disk
from stackledger.labs.lab import Lab, Load, Phase
from stackledger.labs.stack import HOT_PATH, PROGRAMS, WARM_PATH, Stack, stack

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

_READS = 100
# The rows that are asked for fill 94 MiB, a sixth of them half of the time.
_SMALL, _LARGE = 64 << 20, 512 << 20
_HITS = """
SELECT greatest(0, 1 - sum(read_in) / nullif(sum(lookups), 0))
FROM cache_use WHERE comm = 'postgres' AND dev = $dev
"""
_MISSES = """
SELECT sum(demand_misses) * 1e9 / (SELECT dur_ns FROM span)
FROM cache_use WHERE comm = 'postgres' AND dev = $dev
"""


def _stage(base: Path | None) -> AbstractContextManager[Stack]:
    return stack(own_disk=True, limited=("database",), base=base)


def _remember(it: Stack, memory_bytes: int | None) -> None:
    """Have everything read once with that much memory, then slow the disk."""
    it.set_iops(None, None)
    it.drop_cache()
    it.set_memory(memory_bytes)
    it.warm_cache()
    it.set_iops(_READS, None)


LAB: Lab[Stack] = Lab(
    name="page-cache",
    question="A database whose memory does not hold the pages that it reads again and again.",
    answer=(
        "Only the memory of the database was changed, on the same slow disk. What no longer"
        " fits falls out of the page cache and is read again: that is the cause, and the"
        " disk's rate is what the reads run into. More memory for the cache mends it; a"
        " faster disk would only make each of these reads shorter."
    ),
    programs=(*PROGRAMS, *disk.PROGRAMS),
    stage=_stage,
    load=Load((HOT_PATH, WARM_PATH), connections=8, rate_hz=120.0),
    phases=(
        Phase("baseline", "as much memory as the host has", lambda it: _remember(it, None)),
        Phase(
            "fault",
            "the database may have 64 MiB, its page cache included",
            lambda it: _remember(it, _SMALL),
        ),
        Phase("cure", "the database may have 512 MiB", lambda it: _remember(it, _LARGE)),
    ),
    figures=(
        *figures.SEEN,
        *figures.PARTS,
        sql(KERNEL, "page cache hit rate", "share", _HITS),
        sql(KERNEL, "pages waited for/s", "hz", _MISSES),
        figures.DISK_P99,
        figures.DISK_BUSY,
    ),
    probes=("page_cache",),
    warm_up=600,
)
