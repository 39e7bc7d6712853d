"""A capture under way, as a program of its own, beside a load whose events are numbered."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numbered
import psutil

PIPELINE = Path(__file__).resolve().parents[2] / "pipeline"
MARK = "STACKLEDGER_FAULT_TRIAL"
PROBES = ("--profile", "none", "--probe", "file_open", "--probe", "exec")
ENDS_S = 120.0


class Load:
    """The numbered events: `prefix` of their names, and the file with their clocks."""

    def __init__(self, folder: Path) -> None:
        self.prefix = f"/nowhere-{secrets.token_hex(4)}"
        self.clocks = folder / "clocks"
        numbered.make(self.clocks)


@contextmanager
def load(folder: Path) -> Iterator[Load]:
    """Cause events until the end."""
    made = Load(folder)
    words = [sys.executable, numbered.__file__, made.prefix, str(made.clocks)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        try:
            yield made
        finally:
            running.kill()


class Capturing:
    """One `stackledger capture`; all that it starts bears `mark`."""

    def __init__(self, store: Path, name: str) -> None:
        self.mark = secrets.token_hex(8)
        self.name = name
        self.said: list[str] = []
        self.scratch = Path(tempfile.mkdtemp(prefix="stackledger-trial-"))
        words = (*PROBES, "--for", "120s", "--name", name, "--store", str(store))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stackledger", "capture", *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(PIPELINE), *sys.path]),
                "TMPDIR": str(self.scratch),
                MARK: self.mark,
            },
        )
        self._recording = threading.Event()
        self._reader = threading.Thread(target=self._listen)
        self._reader.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as said:
            for line in said:
                self.said.append(line.rstrip("\n"))
                if line == "recording\n":
                    self._recording.set()
        self._recording.set()

    def wait_until_recording(self) -> None:
        """Return when all probes are in place and the manifest is written."""
        self._recording.wait(ENDS_S)
        assert "recording" in self.said, self.said

    def tracer(self, probe: str) -> psutil.Process:
        """Return the bpftrace of a probe."""
        for child in psutil.Process(self.process.pid).children():
            for file in Path(f"/proc/{child.pid}/fd").iterdir():
                with suppress(OSError):
                    if f"memfd:{probe}" in str(file.readlink()):
                        return child
        raise AssertionError(f"no bpftrace runs {probe}")

    def wait(self) -> int:
        """Return the exit code, negative for a signal."""
        code = self.process.wait(ENDS_S)
        self._reader.join(ENDS_S)
        return code

    def orphans(self) -> list[str]:
        """Return what it started and is still there, and the temporary files it left."""
        deadline = time.monotonic() + 10
        while (alive := self._alive()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return [*alive, *map(str, self.scratch.iterdir())]

    def _alive(self) -> list[str]:
        found = []
        for process in psutil.process_iter(["environ", "cmdline", "status"]):
            told = process.info
            if (told["environ"] or {}).get(MARK) == self.mark:
                found.append(" ".join(told["cmdline"] or [told["status"]]))
        return found

    def end(self) -> None:
        """End what is left of it."""
        self.process.kill()
        self.wait()
        with suppress(OSError):
            for file in self.scratch.iterdir():
                file.unlink()
            self.scratch.rmdir()
