"""Which files are open or mapped, from /proc: a probe's (dev, inode) finds its path here."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pyarrow as pa

from stackledger import diagnostics
from stackledger.capture.writer import arrow_schema
from stackledger.manifest import Anchor
from stackledger.schema import TABLES

TABLE = "open_file"
MAPPED = -1  # instead of a descriptor
# A look at one takes 5 µs: at most 0.1 s, while the probes' rows wait in their buffers.
_MOST = 20_000

_Seen = tuple[int, int, int, int, str]  # pid, fd, dev, inode, path


def wanted(tables: Iterable[str]) -> bool:
    """Return whether one of these tables names files by inode."""
    known = (TABLES[table] for table in tables if table in TABLES)  # not a user's own
    return any(column.name == "inode" for table in known for column in table.columns)


class OpenFiles:
    """The regular files and disks that processes have open, each told when it comes."""

    def __init__(self) -> None:
        self._known: set[_Seen] = set()
        self._cut = False

    def look(self, clock: Anchor) -> pa.Table:
        """Return rows of `open_file` for what was not there the time before."""
        now: set[_Seen] = set()
        for seen in _all(set()):
            if len(now) == _MOST:
                self._warn()
                break
            now.add(seen)
        found = sorted(now - self._known)
        self._known = now
        columns = [pa.repeat(pa.scalar(clock.realtime_ns, pa.int64()), len(found))]
        schema = arrow_schema(TABLE)
        for number, field in enumerate(list(schema)[1:]):
            columns.append(pa.array([seen[number] for seen in found], field.type))
        return pa.Table.from_arrays(columns, schema=schema)

    def _warn(self) -> None:
        if not self._cut:
            self._cut = True
            diagnostics.warning(f"more than {_MOST} files are open: some will have no path")


def _all(mapped: set[tuple[int, int]]) -> Iterator[_Seen]:
    for pid in psutil.pids():
        # Processes end, and descriptors are closed, while they are looked at.
        with suppress(OSError):
            yield from _descriptors(pid)
        with suppress(OSError, ValueError):
            yield from _mappings(pid, mapped)


def _descriptors(pid: int) -> Iterator[_Seen]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            path = os.fsencode(link.readlink())
            if path.startswith(b"/"):
                file = link.stat()
                if stat.S_ISREG(file.st_mode) or stat.S_ISBLK(file.st_mode):
                    dev = _kernel_dev(os.major(file.st_dev), os.minor(file.st_dev))
                    yield pid, int(link.name), dev, _signed(file.st_ino), _text(path)


def _mappings(pid: int, mapped: set[tuple[int, int]]) -> Iterator[_Seen]:
    """Yield the mapped files of a process that are not yet in `mapped`, and add them to it."""
    with Path(f"/proc/{pid}/maps").open("rb") as lines:
        for line in lines:
            # begin-end rights offset major:minor inode path
            words = line.rstrip(b"\n").split(None, 5)
            if len(words) == 6 and words[5].startswith(b"/"):
                major, _, minor = words[3].partition(b":")
                key = _kernel_dev(int(major, 16), int(minor, 16)), _signed(int(words[4]))
                if key not in mapped:
                    mapped.add(key)
                    yield pid, MAPPED, *key, _text(words[5])


def _kernel_dev(major: int, minor: int) -> int:
    return major << 20 | minor


def _signed(inode: int) -> int:
    return inode - (1 << 64) if inode >= 1 << 63 else inode


def _text(path: bytes) -> str:
    return path.decode("utf-8", "replace")
