"""What a recording costs, and the budget that it keeps."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from stackledger.capture.recording import Progress
from stackledger.capture.session import Options, Outcome, record
from stackledger.store import Capture, connect

pytestmark = pytest.mark.live

PROBES = ("block_io", "process_exit")
_READS = ("fio", "--name=reads", "--size=16m", "--rw=randread", "--bs=4k", "--direct=1")
_LOAD = (*_READS, "--time_based", "--runtime=60", "--ioengine=psync", "--output=/dev/null")


def _beside_fio(options: Options, folder: Path, look: Callable[[Progress], object]) -> Outcome:
    load = subprocess.Popen([*_LOAD, f"--filename={folder / 'data'}"], cwd=folder)
    try:
        return record(options, look)
    finally:
        load.terminate()
        load.wait(10)


class Meter:
    """Reads the bpftraces' CPU time in the first and the last second of the recording."""

    def __init__(self) -> None:
        self.seen: list[dict[str, float]] = []
        self.elapsed_s = 0.0

    def __call__(self, progress: Progress) -> None:
        if progress.phase != "recording":
            return
        found = {}
        for child in psutil.Process().children():
            if child.name() == "bpftrace":
                found[str(child.pid)] = sum(child.cpu_times()[:2])
        self.seen.append(found)
        self.elapsed_s = progress.elapsed_s


def test_the_account_is_what_the_kernel_says_of_the_processes(tmp_path: Path) -> None:
    looks = Meter()
    outcome = _beside_fio(Options(store=tmp_path, probes=PROBES, duration_s=6), tmp_path, looks)
    told = outcome.manifest
    assert told.overhead is not None
    used_s = sum(looks.seen[-1].values()) - sum(looks.seen[0].values())
    ours_s = sum(run.bpftrace_cpu_ns or 0 for run in told.probes) / 1e9
    assert ours_s == pytest.approx(used_s, rel=0.1, abs=0.05)
    assert told.overhead.elapsed_ns / 1e9 == pytest.approx(looks.elapsed_s, abs=0.5)
    disk, exits = (next(run for run in told.probes if run.name == name) for name in PROBES)
    # Programs that ran 100 ns or more per row, and not longer than the CPUs were there.
    assert disk.programs_cpu_ns is not None
    assert 100 * disk.rows < disk.programs_cpu_ns < told.overhead.elapsed_ns * told.overhead.cpus
    assert (exits.programs_cpu_ns or 0) < disk.programs_cpu_ns
    assert told.overhead_share is not None
    with connect(Capture(outcome.folder, told)) as connection:
        row = connection.execute(
            "SELECT sum(coalesce(bpftrace_cpu_ns, 0) + coalesce(programs_cpu_ns, 0)"
            " + coalesce(stackledger_cpu_ns, 0)) / any_value(elapsed_ns * cpus) FROM overhead"
        ).fetchone()
    assert row is not None
    assert row[0] == pytest.approx(told.overhead_share)


def test_the_dearest_probe_is_stopped_and_the_others_go_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = Options(
        store=tmp_path, probes=("block_io", "process_exit"), duration_s=9, max_overhead=0.03
    )
    outcome = _beside_fio(options, tmp_path, lambda _progress: subprocess.run(["true"], check=True))
    told = outcome.manifest
    assert (told.state, outcome.exit_code) == ("complete", 0)
    disk, exits = (next(run for run in told.probes if run.name == name) for name in PROBES)
    assert (disk.state, exits.state) == ("stopped", "complete")
    assert told.started_ns + 2e9 < disk.stopped_ns < told.ended_ns
    assert "block_io is stopped: " in capfd.readouterr().err
    (loss,) = (loss for loss in told.losses if loss.table == "block_io")
    assert loss.produced is not None
    assert loss.produced - loss.received == loss.lost
    assert loss.lost is not None
    assert loss.lost <= 0.01 * loss.produced
    capture = Capture(outcome.folder, told)
    assert "block_io was stopped after " in capture.condition
    with connect(capture) as connection:
        last_io, last_exit, rows = connection.execute(
            "SELECT (SELECT max(ts_ns) FROM block_io), (SELECT max(ts_ns) FROM process_exit),"
            " (SELECT count(*) FROM block_io)"
        ).fetchone() or (0, 0, 0)
    assert rows == loss.received
    assert disk.stopped_ns - 2e9 < last_io <= disk.stopped_ns
    assert last_exit > disk.stopped_ns + 1e9


def test_a_single_probe_above_its_budget_ends_the_recording(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = Options(store=tmp_path, probes=("block_io",), duration_s=60, max_overhead=0.001)
    outcome = _beside_fio(options, tmp_path, lambda _progress: None)
    told = outcome.manifest
    assert (told.state, outcome.exit_code) == ("complete", 0)
    assert told.ended_ns - told.started_ns < 40e9
    said = capfd.readouterr().err
    assert "the recording ends: " in said
    assert "0.1% is allowed" in said
    with connect(Capture(outcome.folder, told)) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM block_io").fetchone() or (0,)
    assert rows > 1000
