"""Places for a store that can go wrong: a file system in memory that fills, a disk in a file."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# linux/fs.h and fs/ext4/ext4.h: _IOR('X', 125, __u32). The file system is gone at once,
# and what its journal holds in memory is not written any more.
_SHUTDOWN, _WITHOUT_LOG = 0x8004587D, 2
_IMAGE_BYTES = 48 << 20
_OPTIONS = "noatime,errors=remount-ro"


class Bed:
    """A folder on the host's own disk: `store` is where captures go."""

    def __init__(self, at: Path) -> None:
        self.at = at
        self.store = at / "store"


class Memory(Bed):
    """A file system in memory of a few MiB."""

    def fill(self) -> None:
        """Leave no byte."""
        with (self.store / "ballast").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        """Give the space back."""
        (self.store / "ballast").unlink()


class Disk(Bed):
    """An ext4 in a file, written past the page cache: the file holds what reached the disk."""

    def __init__(self, at: Path) -> None:
        super().__init__(at)
        self.image = at / "disk.img"
        self._device = ""

    def make(self) -> None:
        """Make the file system and mount it."""
        with self.image.open("wb") as content:
            content.truncate(_IMAGE_BYTES)
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", str(self.image))
        self.mount()

    def mount(self) -> None:
        """Mount what the file holds; its journal is replayed."""
        words = ("losetup", "--find", "--show", "--direct-io=on", str(self.image))
        self._device = _run(*words).strip()
        _run("mount", "-o", _OPTIONS, self._device, str(self.store))

    def unmount(self) -> None:
        """Unmount it and give the loop device back."""
        _run("umount", str(self.store))
        _run("losetup", "--detach", self._device)

    def fail(self) -> None:
        """Have the kernel find an error of the disk: it makes the file system read-only."""
        name = Path(self._device).name
        Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("1")

    def mend(self) -> None:
        """Repair it and make it writable again."""
        self.unmount()
        subprocess.run(["e2fsck", "-p", str(self.image)], capture_output=True)  # 1: mended
        self.mount()

    def cut_power(self) -> None:
        """Write nothing any more, neither dirty pages nor the journal's open transaction."""
        handle = os.open(self.store, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(handle, _SHUTDOWN, _WITHOUT_LOG.to_bytes(4, "little"))
        finally:
            os.close(handle)

    def power_on(self) -> None:
        """Mount a copy of what had reached the disk, as after a start of the machine."""
        copy = self.image.with_name("copy.img")
        _run("cp", "--sparse=always", str(self.image), str(copy))
        self.unmount()
        self.image = copy
        self.mount()


@contextmanager
def bed(kind: type[Bed], at: Path) -> Iterator[Bed]:
    """Give a place of a kind in an empty folder; nothing of it is mounted at the end."""
    made = kind(at)
    made.store.mkdir()
    if isinstance(made, Disk):
        made.make()
    elif isinstance(made, Memory):
        _run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(made.store))
    try:
        yield made
    finally:
        if isinstance(made, Disk):
            made.unmount()
        elif isinstance(made, Memory):
            _run("umount", str(made.store))


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
