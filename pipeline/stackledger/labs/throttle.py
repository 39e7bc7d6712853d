"""Limits what some processes may have of a disk and of memory, by cgroups of their own.

cgroup v1: `blkio.throttle.read_iops_device`, `write_…`, and `memory.limit_in_bytes`;
cgroup v2: `io.max` and `memory.max`. Source: Documentation/admin-guide, cgroup-v1
(blkio-controller.rst, memory.rst) and cgroup-v2.rst.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger.errors import StackledgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_GROUP = "stackledger-lab-"
_IO_V2, _MEMORY_V2 = "io.max", "memory.max"
_IO_V1, _MEMORY_V1 = "blkio.throttle.read_iops_device", "memory.limit_in_bytes"


@dataclass(frozen=True)
class Throttle:
    """Groups whose processes share the limits; `io` and `memory` are the rules' files."""

    groups: tuple[Path, ...]
    disk: str
    io: Path
    memory: Path | None

    @property
    def group(self) -> Path:
        """The group that limits the disk."""
        return self.io.parent

    @property
    def rule(self) -> str:
        """The name of the file there that holds the limit on reads."""
        return self.io.name

    def set(self, read_iops: int | None, write_iops: int | None = None) -> None:
        """Allow so many reads and writes a second from now on; None lifts a limit.

        Writes are those that a process waits for, as in fsync: what the kernel
        writes back later is, in version 1, nobody's.
        """
        if self.io.name == _IO_V2:
            limits = {"riops": read_iops, "wiops": write_iops}
            words = (f"{name}={'max' if n is None else n}" for name, n in limits.items())
            _write(self.io, f"{self.disk} {' '.join(words)}")
            return
        _write(self.io, f"{self.disk} {read_iops or 0}")
        writes = self.io.with_name(self.io.name.replace("read", "write"))
        _write(writes, f"{self.disk} {write_iops or 0}")

    def set_memory(self, limit_bytes: int | None) -> None:
        """Allow so much memory from now on, page cache included; None lifts the limit."""
        if self.memory is None:
            raise StackledgerError(
                "this host cannot limit memory", "no cgroup hierarchy with the memory controller"
            )
        lifted = "max" if self.memory.name == _MEMORY_V2 else "-1"
        _write(self.memory, lifted if limit_bytes is None else str(limit_bytes))

    def add(self, pids: Callable[[], list[int]]) -> None:
        """Put processes into the groups, and again until no child has escaped.

        A child forked while its parent moves may still be in the old group;
        one forked later is born in the new one.
        """
        members: set[int] = set()
        while missing := [pid for pid in pids() if pid not in members]:
            for pid in missing:
                for group in self.groups:
                    with suppress(ProcessLookupError):
                        (group / "cgroup.procs").write_text(str(pid))
            members.update(missing)


@contextmanager
def throttle(folder: Path) -> Iterator[Throttle]:
    """Make empty groups, for the disk that holds `folder`; remove them at the end.

    Leave the context only when the groups' processes are gone: a group with a
    process in it cannot be removed.
    """
    disk = disk_of(folder)
    found = _hierarchy("blkio", "io", _IO_V1, _IO_V2)
    if found is None:
        raise StackledgerError(
            "this host cannot slow a disk",
            "no cgroup hierarchy with the blkio or io controller",
            hint="run the lab without a throttled disk",
        )
    root, rule = found
    roots = [root]
    memory = _hierarchy("memory", "memory", _MEMORY_V1, _MEMORY_V2)
    if memory is not None and memory[0] not in roots:
        roots.append(memory[0])
    name = f"{_GROUP}{os.getpid()}-{folder.name[-8:]}"
    remove_abandoned()
    with ExitStack() as made:
        for one in roots:
            made.enter_context(_group(one / name))
        yield Throttle(
            groups=tuple(one / name for one in roots),
            disk=disk,
            io=root / name / rule,
            memory=None if memory is None else memory[0] / name / memory[1],
        )


@contextmanager
def _group(path: Path) -> Iterator[None]:
    try:
        path.mkdir()
    except OSError as failure:
        raise StackledgerError("cannot make a cgroup to slow the disk", failure) from failure
    try:
        yield
    finally:
        _remove(path)


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


def _hierarchy(v1: str, v2: str, rule_v1: str, rule_v2: str) -> tuple[Path, str] | None:
    """Return the root of the hierarchy with a controller, and its rule's file; None: there is none.

    The controller is called `v1` or `v2` by the version of the hierarchy.
    """
    for line in Path("/proc/mounts").read_text().splitlines():
        _, folder, kind, options = line.split()[:4]
        root = Path(folder)
        if kind == "cgroup" and v1 in options.split(","):
            return root, rule_v1
        if kind == "cgroup2" and v2 in (root / "cgroup.controllers").read_text().split():
            # Left on afterwards: switched off, it would lift another lab's limit.
            if v2 not in (root / "cgroup.subtree_control").read_text().split():
                _write(root / "cgroup.subtree_control", f"+{v2}")
            return root, rule_v2
    return None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as failure:
        raise StackledgerError(
            "cannot set a cgroup's limit", f"{text!r} to {path}: {failure.strerror}"
        ) from failure


def remove_abandoned() -> None:
    """Remove the empty groups of labs that were killed outright, in every hierarchy."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    roots = [Path(words[1]) for words in mounts if words[2] in ("cgroup", "cgroup2")]
    for group in (found for root in roots for found in root.glob(_GROUP + "*")):
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
