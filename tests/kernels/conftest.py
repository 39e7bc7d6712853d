"""Where the results of other kernels and bpftraces go, and what happens where there are none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

REQUIRED = os.environ.get("STACKLEDGER_KERNELS") == "required"


@pytest.fixture(scope="session")
def unable() -> Callable[[str], None]:
    """Give what skips a test with its reason; where these tests are required, it fails."""

    def say(reason: str) -> None:
        if REQUIRED:
            pytest.fail(f"STACKLEDGER_KERNELS=required, but this host {reason}", pytrace=False)
        pytest.skip(reason)

    return say


@pytest.fixture
def results(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Give an empty folder; under STACKLEDGER_KERNELS_RESULTS where that is set, to be kept."""
    base = Path(os.environ.get("STACKLEDGER_KERNELS_RESULTS", tmp_path))
    folder = base / request.node.name.removeprefix("test_")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    return folder
