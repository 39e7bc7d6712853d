"""What live tests need beyond bpftrace: the labs' servers, and folders that prove a clean end."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stackledger.labs import node_stack, stack
from stackledger.labs.programs import missing_programs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REQUIRED = os.environ.get("STACKLEDGER_LIVE") == "required"


def _need(programs: Sequence[str]) -> None:
    """Skip where a program is missing; where live tests are required, fail instead."""
    missing = missing_programs(programs)
    if not missing:
        return
    reason = f"needs {', '.join(missing)}"
    if REQUIRED:
        pytest.fail(f"STACKLEDGER_LIVE=required, but this host {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def stack_programs() -> None:
    """Need nginx, haproxy and PostgreSQL."""
    _need(stack.PROGRAMS)


@pytest.fixture(scope="session")
def node_programs() -> None:
    """Need nginx, Node.js and Redis."""
    _need(node_stack.PROGRAMS)


def _groups(owner: int) -> Iterator[Path]:
    return Path("/sys/fs/cgroup").glob(f"**/stackledger-lab-{owner}-*")


class Ground:
    """A folder for a lab, and what is still on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Another lab of this process may go on meanwhile.
        self._others = set(_groups(os.getpid()))

    def left(self, owner: int | None = None) -> list[str]:
        """Return the processes at work in the folder, its files, and `owner`'s cgroups."""
        groups = set(_groups(owner or os.getpid())) - self._others
        return [*self.processes(), *map(str, self.folder.iterdir()), *map(str, groups)]

    def processes(self) -> list[str]:
        """Return number and name of each process whose working folder is in here."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                cwd = str((process / "cwd").readlink())
                name = (process / "comm").read_text().strip()
            except OSError:
                continue
            if cwd.startswith(f"{self.folder}/"):
                found.append(f"{process.name} {name}")
        return found


@pytest.fixture
def ground() -> Iterator[Ground]:
    """Give a folder on a disk through which other users may pass."""
    folder = Path(tempfile.mkdtemp(prefix="stackledger-test-", dir="/var/tmp"))
    folder.chmod(0o711)
    yield Ground(folder)
    shutil.rmtree(folder)
