"""A database that is slow for three reasons, one after the other, and what mends each."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger.analysis import figures
from stackledger.labs import disk, network
from stackledger.labs.lab import Lab, Load, Phase
from stackledger.labs.stack import ORDERS_PATH, PROGRAMS, Stack, stack

if TYPE_CHECKING:
    from collections.abc import Iterator

_SLOW, _FAST = 100, 2000
_LOST = 0.05
_SORTS = Load(("/api/report?times=2",), connections=8, rate_hz=45.0)
_READS = Load((ORDERS_PATH,), connections=8, rate_hz=150.0)
_LISTS = Load(("/api/list?rows=500",), connections=8, rate_hz=60.0)


@contextmanager
def _stage(base: Path | None) -> Iterator[Stack]:
    with (
        network.network() as cable,
        stack(
            base=base, own_disk=True, limited=("database",), network=cable, far=("database",)
        ) as it,
    ):
        yield it


def _cpus(it: Stack, number: int) -> None:
    """Let the database, and every backend that it starts, use so many CPUs."""
    allowed = sorted(os.sched_getaffinity(0))[:number]
    for pid in it.servers["database"].pids():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(pid, allowed)


def _disk(it: Stack, read_iops: int) -> None:
    _cpus(it, os.cpu_count() or 1)
    it.set_iops(None, None)
    it.drop_cache()
    it.set_iops(read_iops, None)


def _network(it: Stack, lost: float) -> None:
    it.set_iops(None, None)
    it.lose(lost)


LAB: Lab[Stack] = Lab(
    name="why-is-my-database-slow",
    question="One database, slow for three reasons: the CPU, the disk, the network.",
    answer=(
        "From outside all three look alike. More CPUs help the first alone, a faster disk or"
        " more cache the second, a better network the third."
    ),
    programs=(*PROGRAMS, *disk.PROGRAMS, *network.PROGRAMS),
    stage=_stage,
    load=_SORTS,
    phases=(
        Phase("cpu", "it sorts, and may use one CPU", lambda it: _cpus(it, 1)),
        Phase("+cpu", "it sorts, and may use two CPUs", lambda it: _cpus(it, 2)),
        Phase(
            "disk",
            f"it reads what is not cached, {_SLOW} reads a second are allowed",
            lambda it: _disk(it, _SLOW),
            load=_READS,
        ),
        Phase("+iops", f"{_FAST} reads a second", lambda it: _disk(it, _FAST), load=_READS),
        Phase(
            "network",
            f"its answers cross a network that loses {_LOST:.0%} of the packets",
            lambda it: _network(it, _LOST),
            load=_LISTS,
        ),
        Phase("-loss", "nothing is lost", lambda it: _network(it, 0), load=_LISTS),
    ),
    figures=(
        *figures.SEEN,
        *figures.PARTS,
        figures.DISK_P99,
        figures.DISK_BUSY,
        figures.RETRANSMITTED,
    ),
    warm_up=64,
)
