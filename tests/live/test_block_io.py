"""block_io against the kernel's own disk counters: equal, not close."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from stackledger.capture.program import Filters
from stackledger.capture.session import Options, Outcome, record

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.live

READS, WRITES, WRITES_PER_FSYNC = 997, 499, 23
FSYNCS = 1 + WRITES // WRITES_PER_FSYNC
DISK_BYTES = 256 << 20
PIPELINE = Path(__file__).resolve().parents[2] / "pipeline"

# Another bpftrace instead of the host's, e.g. "chroot /somewhere bpftrace".
BPFTRACE = tuple(shlex.split(os.environ.get("STACKLEDGER_OTHER_BPFTRACE", ""))) or None


class Counters(NamedTuple):
    """A line of /proc/diskstats, as far as it counts completed I/O."""

    reads: int
    sectors_read: int
    writes: int
    sectors_written: int
    discards: int
    sectors_discarded: int
    flushes: int


class Disk(NamedTuple):
    path: str
    name: str
    dev: int

    def counters(self) -> Counters:
        for line in Path("/proc/diskstats").read_text().splitlines():
            words = line.split()
            if words[2] == self.name:
                n = [int(word) for word in words[3:]]
                return Counters(n[0], n[2], n[4], n[6], n[11], n[13], n[15])
        raise LookupError(self.name)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A loop device of our own: nobody else's I/O is on it."""
    file = tmp_path / "disk"
    with file.open("wb") as content:
        content.truncate(DISK_BYTES)
    path = subprocess.run(
        ["losetup", "--find", "--show", str(file)], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        number = Path(path).stat().st_rdev
        yield Disk(path, Path(path).name, os.major(number) << 20 | os.minor(number))
    finally:
        subprocess.run(["losetup", "--detach", path], check=True)


def _record(
    store: Path,
    command: list[str],
    filters: Filters | None = None,
) -> Outcome:
    return record(
        Options(
            store=store,
            probes=("block_io",),
            bpftrace=BPFTRACE,
            command=tuple(command),
            filters=filters or Filters(),
        )
    )


def _rows(outcome: Outcome, disk: Disk | None = None) -> pa.Table:
    rows = pq.read_table(outcome.folder / "block_io", partitioning=None)
    return rows if disk is None else rows.filter(pc.equal(rows["dev"], disk.dev))


def _kind(rows: pa.Table, letter: str) -> pa.Table:
    """Return the rows of reads, writes, discards (R, W, D) or of the device's flushes (FF)."""
    return rows.filter(pc.match_substring(rows["rwbs"], letter))


def _counted(rows: pa.Table) -> Counters:
    def sectors(kind: pa.Table) -> int:
        return (pc.sum(kind["bytes"]).as_py() or 0) // 512

    reads, writes, discards = (_kind(rows, letter) for letter in "RWD")
    return Counters(
        *(len(reads), sectors(reads), len(writes), sectors(writes)),
        *(len(discards), sectors(discards), len(_kind(rows, "FF"))),
    )


def _less(after: Counters, before: Counters) -> Counters:
    return Counters(*(one - other for one, other in zip(after, before, strict=True)))


def _fio(disk: Disk, **options: object) -> list[str]:
    words = {"name": "t", "filename": disk.path, "ioengine": "libaio", "direct": 1, **options}
    return ["fio", "--minimal", *(f"--{name}={value}" for name, value in words.items())]


def test_rows_equal_the_disk_counters(tmp_path: Path, disk: Disk) -> None:
    reads = _fio(disk, rw="randread", bs="4k", number_ios=READS, iodepth=16)
    writes = _fio(disk, rw="randwrite", bs="8k", number_ios=WRITES, fsync=WRITES_PER_FSYNC)
    buffered = _fio(disk, rw="write", bs="4k", size="16m", direct=0, ioengine="psync", end_fsync=1)
    script = " && ".join(shlex.join(words) for words in (reads, writes, buffered))
    before = disk.counters()
    outcome = _record(tmp_path, ["sh", "-c", f"{script} && blkdiscard -o 0 -l 7340032 {disk.path}"])
    time.sleep(0.2)
    counted = _less(disk.counters(), before)

    assert outcome.exit_code == 0
    found = _counted(_rows(outcome, disk))
    run = outcome.manifest.probes[0]
    if run.variant != "rawtracepoint" and run.skipped_runs:
        # The kernel says how often it did not run the probe, for an interrupt came while
        # another BPF program ran: what has left no trace at all can be as much.
        off = [abs(one - other) for one, other in zip(found, counted, strict=True)]
        assert max(off[0], off[2], off[4], off[6]) <= run.skipped_runs
    else:
        assert found == counted
    assert counted.reads >= READS
    assert counted.writes >= WRITES
    assert counted.discards > 0
    assert counted.flushes > 0
    loss = outcome.manifest.losses[0]
    assert (loss.produced, loss.lost, loss.undecodable) == (loss.received, 0, 0)
    assert loss.received == len(_rows(outcome))


def test_a_prime_number_of_reads_and_writes(tmp_path: Path, disk: Disk) -> None:
    reads = _fio(disk, rw="randread", bs="4k", number_ios=READS, iodepth=16)
    outcome = _record(tmp_path, reads)
    rows = _rows(outcome, disk)
    mine = rows.filter(pc.equal(rows["comm"], "fio"))
    assert len(_kind(mine, "R")) == READS
    assert set(mine["bytes"].to_pylist()) == {4096}
    assert pc.min(mine["queue_ns"]).as_py() >= 0
    assert pc.min(mine["device_ns"]).as_py() > 0
    assert pc.max(mine["device_ns"]).as_py() < 10**10
    assert set(mine["error"].to_pylist()) == {0}
    assert rows["ts_ns"].to_pylist() == sorted(rows["ts_ns"].to_pylist())
    now = time.time_ns()
    assert now - 60 * 10**9 < rows["ts_ns"][0].as_py() < now


def test_fsyncs_have_their_submitter_and_no_sector(tmp_path: Path, disk: Disk) -> None:
    script = (
        "import os, sys\n"
        "disk = os.open(sys.argv[1], os.O_RDWR)\n"
        "for number in range(23):\n"
        "    os.pwrite(disk, b'x' * 4096, 4096 * number)\n"
        "    os.fsync(disk)\n"
    )
    outcome = _record(tmp_path, [sys.executable, "-c", script, disk.path])
    rows = _rows(outcome, disk)
    flushes = rows.filter(pc.equal(rows["rwbs"], "FWS"))
    assert len(flushes) == 23
    assert set(flushes["sector"].to_pylist()) == {-1}
    assert set(flushes["bytes"].to_pylist()) == {0}
    assert len(set(flushes["pid"].to_pylist())) == 1
    assert flushes["pid"][0].as_py() is not None
    assert pc.min(flushes["queue_ns"]).as_py() > 0
    device = rows.filter(pc.equal(rows["rwbs"], "FF"))
    assert 0 < len(device) <= 23
    assert set(device["pid"].to_pylist()) == {None}


def test_a_filter_keeps_others_out(tmp_path: Path, disk: Disk) -> None:
    fio = shlex.join(_fio(disk, rw="randread", bs="4k", number_ios=101))
    other = shlex.join(
        ["dd", f"if={disk.path}", "of=/dev/null", "bs=4k", "count=53", "iflag=direct"]
    )
    outcome = _record(
        tmp_path, ["sh", "-c", f"{fio} && {other}"], Filters(comms=("dd", 'a","x":1}'))
    )
    # dd's own program may have to be read first, from another disk.
    assert len(_kind(_rows(outcome, disk), "R")) == 53
    assert set(_rows(outcome)["comm"].to_pylist()) == {"dd"}


def test_a_process_that_calls_itself_something_nasty(tmp_path: Path, disk: Disk) -> None:
    name = b'a","x":1}\\\n\xff'
    script = (
        "import ctypes, os, mmap, sys\n"
        f"ctypes.CDLL(None).prctl(15, {name!r}, 0, 0, 0)\n"
        "page = mmap.mmap(-1, 4096)\n"
        "disk = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)\n"
        "for number in range(7):\n"
        "    os.preadv(disk, [page], 4096 * number)\n"
    )
    outcome = _record(tmp_path, [sys.executable, "-c", script, disk.path])
    rows = _rows(outcome, disk)
    mine = rows.filter(pc.equal(rows["comm"], name.decode("utf-8", "replace")))
    assert len(mine) == 7
    assert outcome.manifest.losses[0].undecodable == 0


def test_errors_are_errno(tmp_path: Path, disk: Disk) -> None:
    """The backing file is cut short under the device: reads behind its end fail."""
    if shutil.which("losetup") is None:
        pytest.fail("losetup is part of the base system")
    backing = json.loads(
        subprocess.run(
            ["losetup", "--json", "--list", disk.path], check=True, capture_output=True, text=True
        ).stdout
    )["loopdevices"][0]["back-file"]
    os.truncate(backing, 1 << 20)
    read = f"dd if={disk.path} of=/dev/null bs=4k count=1 skip=30000 iflag=direct"
    outcome = _record(tmp_path, ["sh", "-c", f"{read} 2>/dev/null; true"])
    rows = _rows(outcome, disk)
    assert -5 in rows["error"].to_pylist()
