"""A disk of the lab's own: an ext4 in a file, so that what is on it waits as on a real device.

A limit on a cgroup's I/Os holds them back before the block layer counts them. On a
loop device they wait behind the device's own queue: its latency, its use and the
length of its queue are those of a slow disk.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger.errors import StackledgerError
from stackledger.labs.programs import programs

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = ("losetup", "mkfs.ext4", "mount", "umount")
_BYTES = 2 << 30
_NAME = "disk.img"
_BUSY_S = 5.0


@dataclass(frozen=True)
class Disk:
    """A mounted disk: its folder, its number as in block_io, its name as in /sys/block."""

    folder: Path
    dev: int
    name: str

    def sync(self) -> None:
        """Write back all that is dirty on it, so that nobody does so later."""
        _run("sync", "--file-system", str(self.folder))


@contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    """Make a disk in `folder` and mount it at `folder/disk`; unmount and remove it at the end."""
    found = programs(PROGRAMS)
    image, at = folder / _NAME, folder / "disk"
    with image.open("wb") as content:
        content.truncate(_BYTES)
    at.mkdir()
    lazy = "lazy_itable_init=0,lazy_journal_init=0,discard"
    _run(found["mkfs.ext4"], "-q", "-F", "-E", lazy, str(image))
    device = _run(found["losetup"], "--find", "--show", "--direct-io=on", str(image))
    try:
        _run(found["mount"], "-o", "noatime", device, str(at))
        try:
            at.chmod(0o711)
            number = at.stat().st_dev
            dev = os.major(number) << 20 | os.minor(number)
            yield Disk(at, dev, Path(device).name)
        finally:
            _unmount(at)
    finally:
        _run(found["losetup"], "--detach", device)
        image.unlink()


def remove_abandoned(folder: Path) -> None:
    """Unmount and detach the disk of a lab that was killed outright."""
    image = folder / _NAME
    if not image.exists():
        return
    with suppress(StackledgerError):
        if os.path.ismount(folder / "disk"):
            _run("umount", "--lazy", str(folder / "disk"))
        for line in _run("losetup", "--associated", str(image)).splitlines():
            _run("losetup", "--detach", line.partition(":")[0])


def _unmount(folder: Path) -> None:
    """Unmount; somebody may still be looking at the disk for a moment."""
    deadline = time.monotonic() + _BUSY_S
    while True:
        try:
            _run("umount", str(folder))
            return
        except StackledgerError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise StackledgerError("the lab's disk failed", f"{Path(words[0]).name}: {said[0]}")
    return done.stdout.strip()
