"""Runs `stackledger capture` as a program, in a store of its own, and sees what it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

PIPELINE = Path(__file__).resolve().parents[2] / "pipeline"
MARK = "STACKLEDGER_TEST"
Done = subprocess.CompletedProcess


class Ground:
    """A store of one's own, programs put before the host's, and whoever runs on it."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "store"
        self.bin = folder / "bin"
        self.bin.mkdir()
        self._mark = str(folder)
        self._started: list[subprocess.Popen[str]] = []

    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(PIPELINE), *sys.path]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            "STACKLEDGER_STORE": str(self.store),
            MARK: self._mark,
        }

    def put(self, name: str, script: str) -> None:
        """Put a program first on PATH."""
        path = self.bin / name
        path.write_text(script)
        path.chmod(0o755)

    def run(self, *words: str, prefix: tuple[str, ...] = (), **extra: str) -> Done:
        """Run a command of stackledger to its end."""
        return subprocess.run(
            [*prefix, sys.executable, "-m", "stackledger", *words],
            capture_output=True,
            text=True,
            timeout=60,
            env={**self.environment(), **extra},
        )

    def capture(self, *words: str, prefix: tuple[str, ...] = (), **extra: str) -> Done:
        return self.run("capture", *words, prefix=prefix, **extra)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a capture; return when it says that it records."""
        running = subprocess.Popen(
            [sys.executable, "-m", "stackledger", "capture", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(),
        )
        self._started.append(running)
        told = []
        for line in running.stderr:
            told.append(line)
            if line == "recording\n":
                return running
        pytest.fail(f"it did not begin: {told}")

    def running(self) -> list[str]:
        """Return the command lines of what was started from here and is still there."""
        found = []
        for process in psutil.process_iter(["pid", "environ", "cmdline", "status"]):
            told = process.info
            if (told["environ"] or {}).get(MARK) == self._mark:
                found.append(" ".join(told["cmdline"] or [told["status"]]))
        return found

    def end(self) -> None:
        """End what a test that failed has left."""
        for running in self._started:
            running.kill()
            running.communicate()

    def captures(self) -> list[Path]:
        return sorted(self.store.glob("dt=*/host=*/capture=*"))

    def manifest(self) -> dict[str, object]:
        (folder,) = self.captures()
        return json.loads((folder / "capture.json").read_text())


def wait_for(condition: Callable[[], bool], limit_s: float = 10.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def recording_ground(folder: Path) -> Iterator[Ground]:
    """Give a place to record from, on which nothing runs in the end."""
    made = Ground(folder)
    yield made
    made.end()
    wait_for(lambda: made.running() == [])
