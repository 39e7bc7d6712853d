"""A capture's folder: nobody else can read it or lead it elsewhere, and it is its asker's.

What was recorded as root tells of every process. Only the folder's owner may look into
it, and the folders above it are taken as they are found only where nobody else could
have planted them.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from stackledger.errors import UsageError

FOLDER, _FILE = 0o700, 0o600
_ABOVE = 0o755
_HINT = "choose another place with --store DIR, or set STACKLEDGER_STORE"


def opener(path: str, flags: int) -> int:
    """Open a file that only its owner may read: for `open(…, opener=)`."""
    return os.open(path, flags | os.O_NOFOLLOW, _FILE)


def make(store: Path, names: tuple[str, ...]) -> Path:
    """Make the folder of these names, one in the other, and return it.

    What is made above the last one belongs to whoever owns the folder that it is in.
    Raises OSError, UsageError where a link or somebody else's folder is in the way, and
    FileExistsError where the last one is there.
    """
    trusted = {0, os.geteuid(), *(asker[:1] if (asker := _asker()) else ())}
    if store.is_symlink() and store.lstat().st_uid not in trusted:
        raise UsageError("the store is a link that another user made", store, hint=_HINT)
    _make_above(store)
    *above, last = names
    path, handle = store, os.open(store, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if store.resolve().parent.stat().st_mode & stat.S_IWOTH:
            _check(handle, path, trusted)
        # Whoever was given a store may have the folders in it.
        trusted.add(os.fstat(handle).st_uid)
        for name in above:
            path /= name
            below = _made(handle, name, path)
            os.close(handle)
            handle = below
            _check(handle, path, trusted)
        os.mkdir(last, FOLDER, dir_fd=handle)
    finally:
        os.close(handle)
    return path / last


def hand_over(folder: Path) -> None:
    """Give a folder that was made under sudo, and all in it, to who called sudo."""
    asker = _asker()
    if asker is None:
        return
    uid, gid = asker
    with suppress(OSError):
        for _, folders, files, handle in os.fwalk(folder):
            for name in (*folders, *files):
                with suppress(OSError):
                    os.chown(name, uid, gid, dir_fd=handle, follow_symlinks=False)
        os.chown(folder, uid, gid, follow_symlinks=False)


def _asker() -> tuple[int, int] | None:
    given = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() != 0 or not all(word.isdecimal() for word in given):
        return None
    return int(given[0]), int(given[1])


def _make_above(store: Path) -> None:
    """Make the store and what is missing above it."""
    if store.exists():
        return
    _make_above(store.parent)
    store.mkdir(_ABOVE)
    with suppress(OSError):
        above = store.parent.stat()
        os.chown(store, above.st_uid, above.st_gid, follow_symlinks=False)


def _made(above: int, name: str, path: Path) -> int:
    """Open a folder in another one, made where there is none."""
    with suppress(FileExistsError):
        os.mkdir(name, _ABOVE, dir_fd=above)
        owner = os.fstat(above)
        with suppress(OSError):
            os.chown(name, owner.st_uid, owner.st_gid, dir_fd=above, follow_symlinks=False)
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
    except NotADirectoryError:
        raise UsageError("a link or a file is where a folder should be", path, hint=_HINT) from None


def _check(handle: int, path: Path, trusted: set[int]) -> None:
    """Refuse a folder in which another user could put something in our way."""
    found = os.fstat(handle)
    if found.st_uid not in trusted:
        raise UsageError(
            "the folder belongs to another user", f"{path}: user {found.st_uid}", hint=_HINT
        )
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise UsageError("every user can replace what is in the folder", path, hint=_HINT)
