"""Reads /proc and /sys cheaply, and subtracts counters that may begin anew or wrap."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

_CHUNK = 64 << 10
_BITS_32 = 1 << 32

Row = dict[str, Any]
Tables = dict[str, list[Row]]
Counts = dict[str, int]


def record(path: str) -> bytes:
    """Return a small file of /proc/PID, made in one piece: one read gives all of it.

    Half the cost of pathlib's, for hundreds are read a second. Raises OSError, also
    where the process is gone.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(handle, _CHUNK)
    finally:
        os.close(handle)


def content(path: str) -> bytes:
    """Return a file's bytes; /proc hands out a long one page by page. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        whole = []
        while data := os.read(handle, _CHUNK):
            whole.append(data)
        return b"".join(whole)
    finally:
        os.close(handle)


def text(path: str) -> str:
    """Return a file as text, whatever bytes are in it; raises OSError."""
    return content(path).decode("utf-8", "replace")


def integer(path: str) -> int | None:
    """Return the first number of a file; None where there is none (absent, or `max`)."""
    try:
        return int(record(path).split(None, 1)[0])
    except (OSError, ValueError, IndexError):
        return None


def since(before: Mapping[str, int], after: Mapping[str, int]) -> Counts | None:
    """Return how much each counter grew; None where one went back: it began anew."""
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    return None if any(value < 0 for value in grown.values()) else grown


def since_32(before: int, after: int) -> int:
    """Return how much a counter of 32 bits grew, over at most one wrap."""
    return (after - before) % _BITS_32 if max(before, after) < _BITS_32 else max(0, after - before)
