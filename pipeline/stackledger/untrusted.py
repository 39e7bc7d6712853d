"""What somebody else may have made: its files are read with care, its words told without harm."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from stackledger.diagnostics import printable
from stackledger.errors import StackledgerError

if TYPE_CHECKING:
    from pathlib import Path

# A spreadsheet takes a cell that begins so for a formula; a tab or line end is spelled out.
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
_HINT = "a stranger may have made it: whatever it is, it is not read"


def read(path: Path, limit_bytes: int) -> bytes:
    """Return the content of a regular file of at most `limit_bytes`.

    Raises OSError where it cannot be opened, StackledgerError where it is a link, a pipe, a
    device or larger: none of it is read then.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as failure:
        if failure.errno == errno.ELOOP:
            raise StackledgerError("a link where a file should be", path, hint=_HINT) from None
        raise
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise StackledgerError("not a file", path, hint=_HINT)
        if found.st_size > limit_bytes:
            raise StackledgerError(
                "the file is too large",
                f"{path}: {found.st_size} bytes, at most {limit_bytes} are read",
                hint=_HINT,
            )
        return file.read(limit_bytes)


def parts(folder: Path, prefix: str = "part-") -> list[str]:
    """Return the names of a folder's Parquet files in order, none where it is not there.

    Raises StackledgerError where the folder is a link, or one of them no regular file.
    """
    if folder.is_symlink():
        raise StackledgerError("a link where a folder should be", folder, hint=_HINT)
    try:
        with os.scandir(folder) as entries:
            found = [
                entry
                for entry in entries
                if entry.name.startswith(prefix) and entry.name.endswith(".parquet")
            ]
            for entry in found:
                if not entry.is_file(follow_symlinks=False):
                    raise StackledgerError("not a file", entry.path, hint=_HINT)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(entry.name for entry in found)


def traced(text: str | None) -> str | None:
    """Return text of a traced program so that no spreadsheet runs it; "" and None stay.

    An apostrophe goes before what would begin a formula: a spreadsheet hides it.
    """
    if not text:
        return text
    shown = printable(text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown
