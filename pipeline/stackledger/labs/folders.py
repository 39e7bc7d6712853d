"""The private folder of a lab, and the removal of those that a killed lab left."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger.errors import StackledgerError
from stackledger.labs import disk

if TYPE_CHECKING:
    from collections.abc import Iterator

_ON_DISK = Path("/var/tmp")  # noqa: S108 - only the parent of a folder made by mkdtemp
_FOLDER = "stackledger-lab-"
_SETTLED_S = 10.0


@contextmanager
def private_folder(base: Path | None) -> Iterator[Path]:
    """Make a folder for a lab and remove it at the end.

    /var/tmp rather than /tmp, which is often in memory: nothing would ever be
    read from a disk. Servers running as another user may pass through it, and
    not list it. A folder that a killed lab left there is removed too: the
    owner of a living one holds a lock on it.
    """
    home = base or _ON_DISK
    for old in home.glob(_FOLDER + "*"):
        _remove_abandoned(old)
    try:
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=home))
    except OSError as failure:
        raise StackledgerError("cannot make the lab's folder", failure) from failure
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder.chmod(0o711)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_abandoned(folder: Path) -> None:
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(lock)
        # One made a moment ago may not be locked yet.
        if status.st_uid == os.geteuid() and time.time() - status.st_mtime > _SETTLED_S:
            disk.remove_abandoned(folder)
            shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(lock)
