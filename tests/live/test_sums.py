"""Tables that the kernel sums up: exact, and honest where a map is full."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from stackledger.capture.session import Options, record

from .conftest import OTHER_BPFTRACE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.live

CALLS, FAILURES = 9973, 101
NAME = 'a","x":1}\\,é'
_CALLER = f"""
import ctypes, os
name = {NAME!r}.encode()
open("/proc/self/comm", "wb").write(name)
libc = ctypes.CDLL(None)
for _ in range({CALLS}): libc.syscall(110)  # getppid
for _ in range({FAILURES}): libc.syscall(3, -1)  # close
"""


def _rows(folder: Path, table: str) -> list[dict[str, object]]:
    parts = sorted((folder / table).glob("part-*.parquet"))
    return [row for part in parts for row in pq.read_table(part).to_pylist()]


def test_a_prime_number_of_calls_is_counted_exactly(tmp_path: Path) -> None:
    outcome = record(
        Options(
            store=tmp_path,
            probes=("syscall_count",),
            command=(sys.executable, "-c", _CALLER),
            bpftrace=OTHER_BPFTRACE or None,
        )
    )
    assert outcome.exit_code == 0
    mine = [row for row in _rows(outcome.folder, "syscall_count") if row["comm"] == NAME]
    assert sum(row["calls"] for row in mine if row["syscall"] == 110) == CALLS
    assert sum(row["errors"] for row in mine if row["syscall"] == 110) == 0
    assert sum(row["errors"] for row in mine if row["syscall"] == 3) == FAILURES
    for loss in outcome.manifest.losses:
        assert loss.produced == loss.received > CALLS
        assert (loss.lost, loss.undecodable) == (0, 0)
        counted = sum(row["calls"] for row in _rows(outcome.folder, loss.table))
        assert counted == loss.received


def test_a_full_map_is_counted_as_loss(tmp_path: Path) -> None:
    outcome = record(
        Options(
            store=tmp_path,
            probes=("syscall_count",),
            # Every process has a key of its own, and most do not fit.
            command=("sh", "-c", "for i in $(seq 97); do /bin/true; done"),
            map_keys=16,
            bpftrace=OTHER_BPFTRACE or None,
        )
    )
    (loss,) = (one for one in outcome.manifest.losses if one.table == "syscall_count")
    assert loss.produced is not None
    assert loss.lost > 0
    assert loss.received + loss.lost == loss.produced
    counted = sum(row["calls"] for row in _rows(outcome.folder, "syscall_count"))
    assert counted == loss.received


def test_the_last_part_of_a_second_is_kept(tmp_path: Path) -> None:
    """A capture of a few milliseconds lies within one second, whose map is printed at its end."""
    outcome = record(
        Options(
            store=tmp_path,
            probes=("syscall_count",),
            command=(sys.executable, "-c", "pass"),
            bpftrace=OTHER_BPFTRACE or None,
        )
    )
    assert all(loss.lost == 0 < loss.received for loss in outcome.manifest.losses)
    begun, ended = outcome.manifest.started_ns, outcome.manifest.ended_ns
    times = {row["ts_ns"] for row in _rows(outcome.folder, "syscall_count")}
    assert times
    assert min(times) > begun - 2 * 10**9
    assert max(times) < ended + 2 * 10**9
