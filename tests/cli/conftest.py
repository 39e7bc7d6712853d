"""Runs the command line as a user would: inside this process, or as a program of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from stackledger.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Replayed


class Outcome(NamedTuple):
    """What a command left: its exit code and both streams."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Return `run(*argv)`, on a terminal of 80 columns without colour."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def call(*argv: str) -> Outcome:
        capsys.readouterr()
        code = main(argv)
        streams = capsys.readouterr()
        return Outcome(code, streams.out, streams.err)

    return call


@pytest.fixture
def ask(
    run: Callable[..., Outcome], replayed: Replayed, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Return `run` where the store holds the replayed recording."""
    monkeypatch.setenv("STACKLEDGER_STORE", str(replayed.store))
    return run


@pytest.fixture
def own(run, replayed, tmp_path, monkeypatch):
    """Return `run` where the store holds a copy of the recording, and its capture's folder."""
    store = tmp_path / "store"
    shutil.copytree(replayed.store, store)
    monkeypatch.setenv("STACKLEDGER_STORE", str(store))
    (manifest,) = store.glob("dt=*/host=*/*/capture.json")
    return run, manifest.parent


@pytest.fixture
def program(replayed: Replayed) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Return `program(*argv, **environment)`: a process of its own, its streams in bytes."""

    def call(*argv: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "stackledger", *argv],
            capture_output=True,
            timeout=60,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "STACKLEDGER_STORE": str(replayed.store),
                **environment,
            },
        )

    return call


@pytest.fixture
def failed() -> Callable[..., None]:
    """Return `failed(outcome, code, line, hint)`: one error line, and nothing was answered."""

    def check(outcome: Outcome, code: int, line: str, hint: str | None = None) -> None:
        told = outcome.stderr.splitlines()
        assert told == [f"stackledger: error: {line}", *([f"hint: {hint}"] if hint else [])]
        assert (outcome.code, outcome.stdout) == (code, "")

    return check
