"""Runs the command line as a user would, inside this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from stackledger.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable


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
