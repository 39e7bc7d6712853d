"""Follows a guide word by word: its commands, as a reader types them, beside a load."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger.labs import load, servers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stackledger.labs.stack import Stack

PAGES = Path(__file__).resolve().parents[2] / "docs/guides"
BLOCK = re.compile(r"^```sh live\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LONGEST_S = 60.0


def commands(page: str) -> list[str]:
    """Return what a guide's blocks marked `sh live` say, line by line."""
    blocks = BLOCK.findall((PAGES / page).read_text())
    return [line for block in blocks for line in block.splitlines()]


@dataclass(frozen=True)
class Answer:
    """What a command of the guide did."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """Return the output on one line: sentences wrap at 80 columns."""
        return " ".join(self.out.split())

    @property
    def rows(self) -> list[dict[str, str]]:
        """Return the output as CSV."""
        return list(csv.DictReader(self.out.splitlines()))


def put_program(folder: Path) -> None:
    """Have `stackledger` on the path of what runs in a folder."""
    program = folder / "bin/stackledger"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m stackledger "$@"\n')
    program.chmod(0o755)


def answer(command: str, folder: Path) -> Answer:
    """Run a command in a folder, with a store in it, and return what it did."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            **servers.module_path(),
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "STACKLEDGER_STORE": str(folder / "store"),
        },
    )
    return Answer(done.returncode, done.stdout, done.stderr)


@contextmanager
def callers(
    running: Stack, paths: Sequence[str], connections: int, rate_hz: float | None = None
) -> Iterator[None]:
    """Have callers that wait for each answer, at most so many a second, until the context ends."""
    argv = load.command(
        running.url, paths, connections=connections, rate_hz=rate_hz, duration_s=LONGEST_S
    )
    environment = {**os.environ, **servers.module_path()}
    # The load must not queue for the CPUs that it measures.
    with subprocess.Popen(
        ["chrt", "-f", "10", *argv], stdout=subprocess.DEVNULL, env=environment
    ) as driving:
        try:
            time.sleep(1)
            yield
            assert driving.poll() is None, "the load ended before the recording"
        finally:
            driving.send_signal(signal.SIGTERM)
