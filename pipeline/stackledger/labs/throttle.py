"""Limits how many reads a second some processes may do on a disk, by a cgroup of their own.

cgroup v1: `blkio.throttle.read_iops_device`; cgroup v2: `io.max`.
Source: Documentation/admin-guide/cgroup-v1/blkio-controller.rst and cgroup-v2.rst.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger.errors import StackledgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_GROUP = "stackledger-lab-"


@dataclass(frozen=True)
class Throttle:
    """A cgroup whose processes share one limit on one disk."""

    group: Path
    disk: str
    rule: str

    def set(self, read_iops: int | None) -> None:
        """Allow `read_iops` reads a second from now on; None lifts the limit."""
        if self.rule == "io.max":
            text = f"{self.disk} riops={'max' if read_iops is None else read_iops}"
        else:
            text = f"{self.disk} {read_iops or 0}"
        _write(self.group / self.rule, text)

    def add(self, pids: Callable[[], list[int]]) -> None:
        """Put processes into the group, and again until no child has escaped.

        A child forked while its parent moves may still be in the old group;
        one forked later is born in the new one.
        """
        members: set[int] = set()
        while missing := [pid for pid in pids() if pid not in members]:
            for pid in missing:
                with suppress(ProcessLookupError):
                    (self.group / "cgroup.procs").write_text(str(pid))
            members.update(missing)


@contextmanager
def throttle(folder: Path) -> Iterator[Throttle]:
    """Make an empty group for the disk that holds `folder`; remove it at the end.

    Leave the context only when the group's processes are gone: a group with a
    process in it cannot be removed.
    """
    disk = disk_of(folder)
    root, rule = _hierarchy()
    _remove_abandoned(root)
    group = root / f"{_GROUP}{os.getpid()}-{folder.name[-8:]}"
    try:
        group.mkdir()
    except OSError as failure:
        raise StackledgerError("cannot make a cgroup to slow the disk", failure) from failure
    try:
        yield Throttle(group, disk, rule)
    finally:
        _remove(group)


def disk_of(path: Path) -> str:
    """Return `MAJ:MIN` of the whole disk that holds a path.

    Raises if the file system is in memory or on the network.
    """
    device = path.stat().st_dev
    if os.major(device) == 0:
        # btrfs and overlay have a number of their own: ask for what is mounted.
        device = _mounted_device(path)
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    if (block / "partition").exists():
        block = block.parent
    try:
        return (block / "dev").read_text().strip()
    except OSError as failure:
        raise StackledgerError(
            "no disk to slow under the lab's folder",
            path,
            hint="give a folder on a local disk, not in memory or on the network",
        ) from failure


def _mounted_device(path: Path) -> int:
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2] == wanted:
            source = Path(after.split()[1])
            if source.is_block_device():
                return source.stat().st_rdev
    return device


def _hierarchy() -> tuple[Path, str]:
    """Return the root of the hierarchy that can throttle disks, and its rule file."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, folder, kind, options = line.split()[:4]
        root = Path(folder)
        if kind == "cgroup" and "blkio" in options.split(","):
            return root, "blkio.throttle.read_iops_device"
        if kind == "cgroup2" and "io" in (root / "cgroup.controllers").read_text().split():
            # Left on afterwards: switched off, it would lift another lab's limit.
            if "io" not in (root / "cgroup.subtree_control").read_text().split():
                _write(root / "cgroup.subtree_control", "+io")
            return root, "io.max"
    raise StackledgerError(
        "this host cannot slow a disk",
        "no cgroup hierarchy with the blkio or io controller",
        hint="run the lab without a throttled disk",
    )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as failure:
        raise StackledgerError(
            "cannot slow the disk", f"{text!r} to {path}: {failure.strerror}"
        ) from failure


def _remove_abandoned(root: Path) -> None:
    """Remove the empty groups of labs that were killed outright."""
    for group in root.glob(_GROUP + "*"):
        owner = group.name.removeprefix(_GROUP).partition("-")[0]
        if not Path("/proc", owner).exists():
            with suppress(OSError):
                group.rmdir()


def _remove(group: Path) -> None:
    """Remove a group; its last process may take a moment to be gone."""
    deadline = time.monotonic() + 5
    while True:
        try:
            group.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError as failure:
            if time.monotonic() > deadline:
                raise StackledgerError("cannot remove the cgroup", failure) from failure
            time.sleep(0.02)
