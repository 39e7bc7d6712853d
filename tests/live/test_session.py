"""A capture with real bpftraces that are killed, or whose owner is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from stackledger.capture.recording import Progress
from stackledger.capture.session import Options, record
from stackledger.manifest import load

pytestmark = pytest.mark.live

PIPELINE = Path(__file__).resolve().parents[2] / "pipeline"
PROBES = ("block_io.tracepoint",)


def _tracers(owner: psutil.Process) -> list[psutil.Process]:
    return [one for one in owner.children(recursive=True) if one.name() == "bpftrace"]


def test_sigkill_leaves_no_bpftrace_and_readable_parts(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from stackledger.capture.session import Options, record\n"
        f"record(Options(store=Path(sys.argv[1]), probes={PROBES!r}, duration_s=60),\n"
        "       lambda progress: print(progress.phase, sum(progress.rows.values()), flush=True))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PIPELINE), *sys.path])}
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, env=env, text=True
    ) as run:
        assert run.stdout is not None
        seconds = 0
        for line in run.stdout:
            (tmp_path / "write").write_bytes(os.urandom(65536))
            os.sync()
            seconds += line.startswith("recording") and not line.endswith(" 0\n")
            if seconds == 3:
                break
        tracers = _tracers(psutil.Process(run.pid))
        assert len(tracers) == 1
        run.kill()
    _, alive = psutil.wait_procs(tracers, timeout=10)
    assert alive == []
    (folder,) = tmp_path.glob("dt=*/host=*/capture=*")
    assert load(folder).state == "recording"
    assert len(pq.read_table(folder / "block_io", partitioning=None)) > 0


def test_one_of_two_is_killed_and_the_other_goes_on(tmp_path: Path) -> None:
    killed: list[int] = []

    def kill_one(progress: Progress) -> None:
        if progress.phase == "recording" and progress.elapsed_s > 1 and not killed:
            killed.append(_tracers(psutil.Process())[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    probes = ("block_io.tracepoint", "request_ledger")
    outcome = record(
        Options(store=tmp_path, probes=probes, duration_s=4, constants={"STACK": 16384 - 16}),
        kill_one,
    )
    assert outcome.exit_code == 1
    manifest = load(outcome.folder)
    assert manifest.state == "failed"
    assert sorted(run.state for run in manifest.probes) == ["complete", "failed"]
    dead = next(run for run in manifest.probes if run.state == "failed")
    assert dead.name in manifest.error
    assert manifest.ended_ns - manifest.started_ns > 3.5e9


def test_an_interrupt_keeps_the_last_rows(tmp_path: Path) -> None:
    """What was printed before the end is in, though bpftrace drops its buffers at SIGINT."""
    sent: list[float] = []

    def interrupt(progress: Progress) -> None:
        (tmp_path / "write").write_bytes(os.urandom(65536))
        os.sync()
        if progress.phase == "recording" and progress.elapsed_s > 2 and not sent:
            sent.append(time.time_ns())
            os.kill(os.getpid(), signal.SIGINT)

    outcome = record(Options(store=tmp_path, probes=PROBES), interrupt)
    assert (outcome.exit_code, outcome.manifest.state) == (0, "complete")
    (loss,) = outcome.manifest.losses
    assert loss.produced == loss.received > 0
    assert loss.lost == 0
