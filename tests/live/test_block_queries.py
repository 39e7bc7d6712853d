"""The block queries beside what else counts the same I/O: fio, the disk's counters, ftrace."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from stackledger import store
from stackledger.analysis.chosen import Processes
from stackledger.analysis.queries import run
from stackledger.analysis.selection import Selection, narrow
from stackledger.capture.session import Options, record
from stackledger.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

READS, DEPTH = 997, 8
# Another bpftrace, e.g. "chroot /somewhere bpftrace".
OTHER = tuple(shlex.split(os.environ.get("STACKLEDGER_OTHER_BPFTRACE", "")))
TRACEFS = Path("/sys/kernel/tracing")
_LINE = re.compile(r"\s(\d+\.\d+): (block_rq_\w+): (\d+),(\d+) (\w+) .*?(\d+) \+ (\d+) ")


class Seen(NamedTuple):
    """One load, as four observers saw it."""

    sql: Any
    disk: str
    fio: dict[str, Any]
    ticks_ms: int  # the disk's own sum of the times of all reads
    device_us: list[float]  # per read, by ftrace


@pytest.fixture(scope="module")
def ftrace() -> Iterator[Path]:
    """A buffer of our own for the kernel's text tracer: the same tracepoints as blktrace's."""
    instance = TRACEFS / "instances" / f"stackledger-test-{os.getpid()}"
    instance.mkdir()
    try:
        (instance / "buffer_size_kb").write_text("8192")
        for event in ("block_rq_issue", "block_rq_complete"):
            (instance / "events/block" / event / "enable").write_text("1")
        yield instance
    finally:
        instance.rmdir()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, ftrace: Path) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("blocks")
    file, said = folder / "disk", folder / "fio.json"
    file.write_bytes(b"")
    os.truncate(file, 256 << 20)
    device = subprocess.run(
        ["losetup", "--find", "--show", str(file)], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        name = Path(device).name
        fio = (
            f"fio --name=t --filename={device} --ioengine=libaio --direct=1 --rw=randread"
            f" --bs=4k --number_ios={READS} --iodepth={DEPTH} --output-format=json"
            f" --output={said}"
        )
        before = _read_ticks(name)
        outcome = record(
            Options(
                store=folder / "store",
                probes=("block_io",),
                bpftrace=OTHER or None,
                command=("sh", "-c", fio),
            )
        )
        assert outcome.exit_code == 0
        ticks = _read_ticks(name) - before
        number = Path(device).stat().st_rdev
        times = _device_times(ftrace, os.major(number), os.minor(number))
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
    sql = store.connect(store.find("last", folder / "store"), with_views=False)
    narrow(sql, Selection(processes=Processes(comms=("fio",))), TABLES.values(), ledger=False)
    sql.execute(
        "CREATE VIEW span AS SELECT started_ts_ns AS from_ts_ns, ended_ts_ns AS until_ts_ns,"
        " ended_ts_ns - started_ts_ns AS dur_ns FROM capture"
    )
    yield Seen(sql, name, json.loads(said.read_text())["jobs"][0]["read"], ticks, times)
    sql.close()


def _read_ticks(name: str) -> int:
    for line in Path("/proc/diskstats").read_text().splitlines():
        words = line.split()
        if words[2] == name:
            return int(words[6])
    raise LookupError(name)


def _device_times(instance: Path, major: int, minor: int) -> list[float]:
    """Return D2C in µs of every read of the disk, from the kernel's own text."""
    issued: dict[str, float] = {}
    times = []
    for line in (instance / "trace").read_text().splitlines():
        found = _LINE.search(line)
        if found is None or (int(found[3]), int(found[4])) != (major, minor) or found[5] != "R":
            continue
        at, sector = float(found[1]), found[6]
        if found[2] == "block_rq_issue":
            issued[sector] = at
        elif sector in issued:
            times.append((at - issued.pop(sector)) * 1e6)
    return times


def _rows(seen: Seen, name: str, **given: object) -> list[dict[str, Any]]:
    result = run(seen.sql, name, given)
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def test_biotop_has_every_read_of_fio(seen: Seen) -> None:
    mine = [row for row in _rows(seen, "biotop") if row["disk"] == seen.disk and row["d"] == "R"]
    (row,) = mine
    assert (row["comm"], row["ios"], row["bytes"]) == ("fio", READS, READS * 4096)
    assert seen.fio["total_ios"] == READS
    assert row["mean_ns"] == pytest.approx(
        1e3 * sum(seen.device_us) / len(seen.device_us), rel=0.05
    )


def test_phases_are_those_of_ftrace_and_fio(seen: Seen) -> None:
    found = _rows(seen, "blkphases", disk=seen.disk)
    phases = {row["phase"]: row for row in found if row["t"] == "R"}
    assert list(phases) == ["q2d", "d2c", "q2c"]
    assert {row["ios"] for row in phases.values()} == {READS} == {len(seen.device_us)}
    mean = {name: row["mean_ns"] for name, row in phases.items()}
    assert mean["q2c"] == pytest.approx(mean["q2d"] + mean["d2c"])
    assert mean["d2c"] == pytest.approx(1e3 * sum(seen.device_us) / READS, rel=0.05)
    # fio's clock starts before the kernel's queue, and stops when it has heard of the end.
    assert 0.2 * seen.fio["lat_ns"]["mean"] < mean["q2c"] < seen.fio["lat_ns"]["mean"]


def test_blkparse_has_three_events_of_every_read(seen: Seen) -> None:
    rows = [row for row in _rows(seen, "blkparse", disk=seen.disk) if row["rwbs"] == "R"]
    assert [sum(row["action"] == action for row in rows) for action in "QDC"] == [READS] * 3
    times = [row["ts_ns"] for row in rows]
    assert times == sorted(times)
    assert {row["sectors"] for row in rows} == {8}


def test_depth_is_fios_and_its_sum_the_disks_own(seen: Seen) -> None:
    rows = _rows(seen, "biodepth", disk=seen.disk, interval_ms=10)
    assert max(row["max_depth"] for row in rows) == DEPTH
    assert sum(row["ios"] for row in rows) >= READS
    busy_ms = sum(row["mean_depth"] for row in rows) * 10
    # The kernel counts from where the request is made, a little after its submission,
    # and rounds every one of them.
    assert busy_ms == pytest.approx(seen.ticks_ms, rel=0.1, abs=20)


def test_biolatency_has_every_read_once(seen: Seen) -> None:
    for each, kinds in (("disk,kind", {"R"}), ("disk", {"all"}), ("kind", {"R"}), ("all", {"all"})):
        rows = _rows(seen, "biolatency", disk=seen.disk, each=each)
        assert {row["t"] for row in rows} == kinds
        assert {row["disk"] for row in rows} == {seen.disk if "disk" in each else "all"}
        assert sum(row["ios"] for row in rows) == READS
        assert sum(row["ios_share"] for row in rows) == pytest.approx(1)
