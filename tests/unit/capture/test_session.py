"""A capture from its first byte to its exit code, whatever bpftrace does meanwhile.

A stand-in prints the rows here, for no kernel is measured; tests/live has the real one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from stackledger.capture.recording import Progress
from stackledger.capture.session import ABORTED, Options, Outcome, record
from stackledger.errors import CannotTraceError, StackledgerError, UsageError
from stackledger.manifest import load

STAND_IN = Path(__file__).with_name("stand_in.py")
PIPELINE = Path(__file__).resolve().parents[3] / "pipeline"


def _options(store: Path, mode: str, **changes: Any) -> Options:
    values: dict[str, Any] = {
        "store": store,
        "probes": ("block_io.tracepoint",),
        "bpftrace": (sys.executable, str(STAND_IN), mode),
        "duration_s": 0.3,
        "stop_grace_s": 0.5,
        "attach_limit_s": 5.0,
        **changes,
    }
    return Options(**values)


def _record(store: Path, mode: str, **changes: Any) -> Outcome:
    return record(_options(store, mode, **changes))


def _rows(outcome: Outcome) -> int:
    return len(pq.read_table(outcome.folder / "block_io", partitioning=None))


# What is started from here has it: other tests' stand-ins may run beside these.
MARK, OWN = "STACKLEDGER_TEST_SESSION", str(os.getpid())


@pytest.fixture(autouse=True)
def _marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK, OWN)


def _stand_ins() -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline", "environ"])
        if str(STAND_IN) in (process.info["cmdline"] or [])[1:2]
        and (process.info["environ"] or {}).get(MARK) == OWN
    ]


def _at(phase: str, act: Callable[[], None]) -> Callable[[Progress], None]:
    done: list[bool] = []

    def watch(progress: Progress) -> None:
        if progress.phase == phase and not done:
            done.append(True)
            act()

    return watch


def _interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_a_capture(tmp_path: Path) -> None:
    outcome = _record(tmp_path, "fine", name="first try")
    assert outcome.exit_code == 0
    manifest = load(outcome.folder)
    assert (manifest.state, manifest.name) == ("complete", "first try")
    (loss,) = manifest.losses
    assert loss.received == _rows(outcome) == manifest.probes[0].rows > 0
    assert (loss.produced, loss.lost, loss.undecodable) == (loss.received, 0, 0)
    assert 0.2e9 < manifest.ended_ns - manifest.started_ns < 3e9
    assert abs(manifest.started_ns - time.time_ns()) < 60e9
    assert len(manifest.clock) >= 2
    store, day, host, capture = outcome.folder.parts[-4:]
    assert (store, day[:3], host[:5]) == (tmp_path.name, "dt=", "host=")
    assert capture == f"capture={manifest.id}"
    for table in ("process", "host_cpu"):
        assert list((outcome.folder / table).glob("part-*.parquet"))
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]
    assert _stand_ins() == []


def test_a_command_decides_when_it_ends_and_its_exit_code_is_passed_on(tmp_path: Path) -> None:
    for script, code in (("exit 7", 7), ("exit 0", 0), ("kill -9 $$", 137)):
        outcome = _record(tmp_path, "fine", duration_s=None, command=("sh", "-c", script))
        assert outcome.exit_code == code
        assert outcome.manifest.command is not None
        assert outcome.manifest.command.argv == ["sh", "-c", "?"]


def test_a_command_that_outlives_the_time_is_ended(tmp_path: Path) -> None:
    mark = f"77{os.getpid()}"
    outcome = _record(tmp_path, "fine", command=("sh", "-c", f"sleep {mark} & sleep {mark}"))
    assert outcome.exit_code == 0
    assert outcome.manifest.command is not None
    assert outcome.manifest.command.exit_code is None
    left = [one for one in psutil.process_iter(["cmdline"]) if mark in (one.info["cmdline"] or [])]
    assert left == []


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such command: nosuchprogram"):
        _record(tmp_path, "fine", command=("nosuchprogram",))
    assert list(tmp_path.iterdir()) == []


def test_the_first_interrupt_is_the_normal_end(tmp_path: Path) -> None:
    options = _options(tmp_path, "fine", duration_s=None)
    outcome = record(options, _at("recording", _interrupt))
    assert (outcome.exit_code, outcome.manifest.state) == (0, "complete")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_ends_at_once(tmp_path: Path) -> None:
    def twice() -> None:
        _interrupt()
        _interrupt()

    options = _options(tmp_path, "deaf", duration_s=None, stop_grace_s=60.0)
    begun = time.monotonic()
    outcome = record(options, _at("recording", twice))
    assert time.monotonic() - begun < 20
    assert (outcome.exit_code, outcome.manifest.state) == (ABORTED, "failed")
    assert load(outcome.folder).error == "interrupted a second time"
    assert _stand_ins() == []


def test_one_bpftrace_dies_and_the_other_goes_on(tmp_path: Path) -> None:
    outcome = _record(
        *(tmp_path, "one-dies"),
        probes=("block_io.tracepoint", "block_io.rawtracepoint"),
        duration_s=1.0,
    )
    assert outcome.exit_code == 1
    assert outcome.manifest.state == "failed"
    fine, dead = outcome.manifest.probes
    assert (fine.state, dead.state) == ("complete", "failed")
    assert dead.error == "ERROR: failed to read from the buffer"
    assert "block_io: ERROR: failed to read" in outcome.manifest.error
    assert dead.rows == 70
    assert fine.rows > 150
    assert _rows(outcome) == fine.rows + dead.rows


BOTH = ("block_io.tracepoint", "block_io.rawtracepoint")


def test_a_probe_that_is_not_required_is_left_out_and_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    required = frozenset(("block_io.tracepoint",))
    outcome = _record(tmp_path, "one-refused", probes=BOTH, required=required)
    assert (outcome.exit_code, outcome.manifest.state) == (0, "complete")
    fine, other = load(outcome.folder).probes
    assert (fine.state, other.state) == ("complete", "unavailable")
    why = "could not be attached: stdin:1:1-2: ERROR: tracepoint not found: block:block_io_start"
    assert other.error == why
    assert capsys.readouterr().err == f"stackledger: warning: not recorded: block_io {why}\n"
    assert [loss.table for loss in outcome.manifest.losses] == ["block_io"]
    assert _rows(outcome) == fine.rows > 0
    assert _stand_ins() == []


def test_a_required_probe_that_is_refused_is_the_end(tmp_path: Path) -> None:
    for required in (None, frozenset(("block_io.rawtracepoint",)), frozenset(("block_io",))):
        with pytest.raises(CannotTraceError, match="block_io could not be attached"):
            _record(tmp_path, "one-refused", probes=BOTH, required=required)
    assert list(tmp_path.iterdir()) == []


def test_of_probes_that_are_not_required_one_must_be_left(tmp_path: Path) -> None:
    with pytest.raises(CannotTraceError, match="did not attach in time"):
        _record(tmp_path, "never", probes=BOTH, required=frozenset(), attach_limit_s=0.5)
    with pytest.raises(CannotTraceError, match="none of the probes can run here"):
        _record(
            tmp_path,
            "fine",
            probes=BOTH,
            required=frozenset(),
            unavailable=dict.fromkeys(BOTH, "x"),
        )
    assert list(tmp_path.iterdir()) == []
    assert _stand_ins() == []


def test_all_bpftraces_dead_is_the_end(tmp_path: Path) -> None:
    begun = time.monotonic()
    outcome = _record(tmp_path, "dies", duration_s=60.0)
    assert time.monotonic() - begun < 20
    assert (outcome.exit_code, _rows(outcome)) == (1, 70)
    assert outcome.manifest.losses[0].produced is None


def test_a_bpftrace_that_does_not_end_is_killed(tmp_path: Path) -> None:
    outcome = _record(tmp_path, "deaf")
    assert outcome.exit_code == 1
    assert "did not end within 0.5 s" in outcome.manifest.error
    assert _rows(outcome) > 0
    assert _stand_ins() == []


def test_a_bpftrace_that_misses_the_signal_is_asked_again(tmp_path: Path) -> None:
    outcome = _record(tmp_path, "hard-of-hearing", stop_grace_s=3.0)
    assert outcome.exit_code == 0
    (loss,) = outcome.manifest.losses
    assert loss.produced == loss.received > 0


def test_never_attached(tmp_path: Path) -> None:
    with pytest.raises(CannotTraceError, match=r"block_io did not attach in time: 0\.5 s"):
        _record(tmp_path, "never", attach_limit_s=0.5)
    assert list(tmp_path.iterdir()) == []
    assert _stand_ins() == []


def test_refused_by_bpftrace(tmp_path: Path) -> None:
    command = (sys.executable, str(STAND_IN), "never", "--fails")
    with pytest.raises(CannotTraceError, match="tracepoint not found: block:block_io_start"):
        _record(tmp_path, "never", bpftrace=command)
    assert list(tmp_path.iterdir()) == []


def test_too_old_and_not_there(tmp_path: Path) -> None:
    with pytest.raises(CannotTraceError, match=r"too old.*0\.9\.4"):
        _record(tmp_path, "old")
    with pytest.raises(CannotTraceError, match="cannot be started"):
        _record(tmp_path, "fine", bpftrace=("/nowhere/bpftrace",))
    with pytest.raises(UsageError, match="no such probe: block_oi"):
        _record(tmp_path, "fine", probes=("block_oi",))
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.write_text("a file")
    with pytest.raises(StackledgerError, match="cannot write to the store") as failure:
        _record(store, "fine")
    assert failure.value.exit_code == 1
    assert _stand_ins() == []


def test_a_store_that_breaks_half_way(tmp_path: Path) -> None:
    def block() -> None:
        (folder,) = tmp_path.glob("dt=*/host=*/capture=*")
        (folder / "block_io").write_text("in the way")

    with pytest.raises(StackledgerError, match="cannot write to the store"):
        record(_options(tmp_path, "fine", duration_s=30.0), _at("recording", block))
    (folder,) = tmp_path.glob("dt=*/host=*/capture=*")
    manifest = load(folder)
    assert manifest.state == "failed"
    assert "cannot write to the store" in manifest.error
    assert _stand_ins() == []


def test_killed_in_mid_capture_it_leaves_whole_parts_and_no_bpftrace(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from stackledger.capture.session import Options, record\n"
        "record(Options(store=Path(sys.argv[1]), probes=('block_io.tracepoint',), duration_s=60,\n"
        "    bpftrace=(sys.executable, sys.argv[2], 'fine')), lambda p: print(p.phase, flush=True))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PIPELINE), *sys.path])}
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), str(STAND_IN)],
        stdout=subprocess.PIPE,
        env=env,
        text=True,
    ) as run:
        assert run.stdout is not None
        ticks = 0
        for line in run.stdout:
            ticks += line == "recording\n"
            if ticks == 3:
                break
        assert len(_stand_ins()) == 1
        run.kill()
    deadline = time.monotonic() + 5
    while _stand_ins() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _stand_ins() == []
    (folder,) = tmp_path.glob("dt=*/host=*/capture=*")
    assert json.loads((folder / "capture.json").read_bytes())["state"] == "recording"
    assert len(pq.read_table(folder / "block_io", partitioning=None)) > 0


def test_names_that_would_leave_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.node", lambda: "../../etc/host name")
    outcome = _record(tmp_path, "fine")
    assert outcome.folder.parent.name == "host=etc-host-name"
    assert outcome.folder.is_relative_to(tmp_path)
