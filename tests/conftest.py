"""What every test shares: the rule about tests that need more than Python."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from stackledger import manifest, resources
from stackledger.capture.replay import replay

REQUIRED = os.environ.get("STACKLEDGER_LIVE") == "required"


def _obstacle() -> str | None:
    """Return why nothing can be traced here, None where it can."""
    if os.geteuid() != 0:
        return "needs root"
    if shutil.which("bpftrace") is None:
        return "needs bpftrace"
    if not Path("/sys/kernel/btf/vmlinux").exists():
        return "needs a kernel with BTF"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything under live/ and kernels/ by its folder."""
    for item in items:
        for mark in ("live", "kernels"):
            if f"/tests/{mark}/" in f"{item.path.as_posix()}":
                item.add_marker(mark)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a live test where the host cannot; where it is required, fail instead."""
    if item.get_closest_marker("live") is None:
        return
    obstacle = _obstacle()
    if obstacle is None:
        return
    if REQUIRED:
        pytest.fail(f"STACKLEDGER_LIVE=required, but this host {obstacle}", pytrace=False)
    pytest.skip(obstacle)


class Replayed(NamedTuple):
    """The shipped recording as a capture: the only one of its store."""

    store: Path
    folder: Path
    id: str
    name: str


@pytest.fixture(scope="session")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    """Replay the recording that `stackledger demo` shows; nobody may write to it."""
    store = tmp_path_factory.mktemp("replayed") / "store"
    folder = replay(resources.folder("recordings") / "demo", store)
    told = manifest.load(folder)
    return Replayed(store, folder, told.id, told.name)
