"""`stackledger live` as a program: each event once, ends as told, leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIPELINE = Path(__file__).resolve().parents[2] / "pipeline"
MARK = "STACKLEDGER_TEST"
READS = 101


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[str]:
    file = tmp_path / "disk"
    file.write_bytes(b"")
    os.truncate(file, 16 << 20)
    device = subprocess.run(
        ["losetup", "--find", "--show", str(file)], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Give `live(*words)`, which returns when all is attached."""
    mark = str(tmp_path)
    started = []

    def start(*words: str) -> subprocess.Popen[str]:
        running = subprocess.Popen(
            [sys.executable, "-m", "stackledger", "live", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(PIPELINE), *sys.path]),
                "STACKLEDGER_STORE": str(tmp_path / "store"),
                "COLUMNS": "80",
                MARK: mark,
            },
        )
        started.append(running)
        told = []
        for line in running.stderr:
            told.append(line)
            if line == "Ctrl-C ends it\n":
                return running
        pytest.fail(f"it did not begin: {told}")

    yield start
    for running in started:
        running.kill()
        running.communicate()
    left = [
        " ".join(process.info["cmdline"] or [])
        for process in psutil.process_iter(["cmdline", "environ"])
        if (process.info["environ"] or {}).get(MARK) == mark
    ]
    assert left == []
    assert not (tmp_path / "store").exists()


def read(disk: str) -> None:
    subprocess.run(
        ["dd", f"if={disk}", "of=/dev/null", "bs=4k", f"count={READS}", "iflag=direct"],
        check=True,
        capture_output=True,
    )


def test_each_event_is_printed_once(live: Callable[..., subprocess.Popen[str]], disk: str) -> None:
    running = live("biosnoop", "--format", "jsonl", "--comm", "dd")
    for _ in range(3):
        read(disk)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    mine = [row for row in rows if row["disk"] == Path(disk).name]
    assert len(mine) == 3 * READS
    assert len({(row["ts_ns"], row["sector"]) for row in mine}) == 3 * READS
    assert {(row["comm"], row["t"], row["bytes"]) for row in mine} == {("dd", "R", 4096)}
    # In order, but for what one CPU's buffer held while another's was read.
    times = [row["ts_ns"] for row in rows]
    assert all(later > earlier - 10**9 for earlier, later in pairwise(times))


def test_it_ends_after_its_count(live: Callable[..., subprocess.Popen[str]], disk: str) -> None:
    running = live("biosnoop", "--count", "23", "--comm", "dd")
    read(disk)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 1 + 23
    assert max(map(len, lines)) <= 80
    assert all(re.match(r"\d\d:\d\d:\d\d\.\d{3} dd ", line) for line in lines[1:])


def test_a_state_is_that_of_a_second(live: Callable[..., subprocess.Popen[str]], disk: str) -> None:
    running = live("biotop", "--format", "jsonl", "--comm", "dd", "--for", "4s")
    read(disk)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    mine = [row for row in rows if row["disk"] == Path(disk).name]
    assert sum(row["ios"] for row in mine) == READS
    assert sum(row["bytes"] for row in mine) == READS * 4096


def test_whoever_reads_it_may_go(live: Callable[..., subprocess.Popen[str]], disk: str) -> None:
    running = live("biosnoop", "--comm", "dd")
    running.stdout.close()
    for _ in range(3):
        read(disk)
    assert running.wait(60) == 0
    assert running.stderr.read() == ""
