"""The names of a table's parts on disk, and which of them a reader takes.

part-000007.parquet was written as the seventh; part-000001-000064.parquet was merged from
the first 64 and stands for them from the moment that it has its name, whether they are
still there or not. So every row is in exactly one of the parts that `current` returns.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from stackledger import untrusted

_NAME = re.compile(r"part-(\d+)(?:-(\d+))?\.parquet")


class Numbered(NamedTuple):
    """A part, and the first and the last number that it stands for."""

    path: Path
    first: int
    last: int


def file_name(first: int, last: int) -> str:
    """Return the name of the part that stands for these numbers."""
    return f"part-{first:06d}.parquet" if first == last else f"part-{first:06d}-{last:06d}.parquet"


def listed(folder: Path) -> list[Numbered]:
    """Return all parts of a table, oldest first, a merged one before what it was merged from.

    Raises StackledgerError where one, or the folder, is a link or no file.
    """
    found = [(name, told) for name in untrusted.parts(folder) if (told := _NAME.fullmatch(name))]
    parts = [Numbered(folder / name, int(told[1]), int(told[2] or told[1])) for name, told in found]
    return sorted(parts, key=lambda part: (part.first, -part.last))


def current(folder: Path, dropped: int = 0) -> list[Path]:
    """Return the parts that hold the table's rows, oldest first.

    Left out is what a merged part stands for, and what has been `dropped`, a number: that
    part and all before it.
    """
    found, reached = [], dropped
    for part in listed(folder):
        if part.last > reached:
            found.append(part.path)
            reached = part.last
    return found


def replaced(folder: Path, dropped: int = 0) -> list[Path]:
    """Return the parts that nobody reads any more."""
    kept = set(current(folder, dropped))
    return [part.path for part in listed(folder) if part.path not in kept]


def size_bytes(folder: Path) -> int:
    """Return what all parts of a capture take on disk; parts may go meanwhile."""
    size = 0
    for part in folder.glob("*/part-*.parquet"):
        with suppress(FileNotFoundError):
            size += part.stat().st_size
    return size
