"""Names of user functions: from a process's mappings and its files' symbol tables.

Not bpftrace's own: 0.17 reads a file's symbols anew for every frame (37 s for the
stacks of 3 s), and in a container or a chroot it finds other files than the process.
Here each file is read once, through /proc/PID/map_files, whatever its path means to
the process. A file may be hostile: whatever does not fit has no symbols.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

_MAPS_VALID_S = 5.0
_PROCESSES, _FILES = 512, 512
_LARGEST_BYTES = 1 << 30
_MOST_SYMBOLS = 1 << 20
_MOST_TABLES = 2  # a linker makes one of each kind
_LONGEST_NAME = 4096
_NAMES_BYTES = 64 << 20  # of one file; the largest programs have that much
_KEPT_BYTES = 256 << 20  # of all files together
_LOAD, _FUNCTION, _DYNAMIC, _ALL = 1, 2, 11, 2


@dataclass(frozen=True, slots=True)
class _Mapping:
    start: int
    end: int
    offset: int
    path: str
    file: tuple[str, str]  # device and inode


@dataclass(slots=True)
class _Process:
    read_at: float
    starts: list[int]
    mappings: list[_Mapping]


class Symbols:
    """Names functions; what it has read it keeps for a while, also of processes that ended."""

    def __init__(self) -> None:
        self._processes: dict[int, _Process] = {}
        self._files: dict[tuple[str, str], Functions] = {}
        self._bytes = 0

    def name(self, pid: int, address: int) -> str:
        """Return the function at an address: `[file]` if it has no name, `` if there is no file."""
        mapping = self._mapping(pid, address)
        if mapping is None:
            return ""
        functions = self._functions(pid, mapping)
        found = functions.at(address - mapping.start + mapping.offset)
        return found or f"[{mapping.path.rpartition('/')[2].strip('[]') or 'anonymous'}]"

    def _mapping(self, pid: int, address: int) -> _Mapping | None:
        process = self._processes.get(pid)
        if process is None or time.monotonic() - process.read_at > _MAPS_VALID_S:
            process = self._read(pid, process)
        at = bisect_right(process.starts, address) - 1
        if at < 0 or address >= process.mappings[at].end:
            return None
        return process.mappings[at]

    def _read(self, pid: int, before: _Process | None) -> _Process:
        mappings = list(_executable(pid))
        if not mappings and before is not None:
            mappings = before.mappings  # it has ended
        if len(self._processes) >= _PROCESSES:
            del self._processes[next(iter(self._processes))]
        self._processes.pop(pid, None)
        found = _Process(time.monotonic(), [one.start for one in mappings], mappings)
        self._processes[pid] = found
        return found

    def _functions(self, pid: int, mapping: _Mapping) -> Functions:
        known = self._files.get(mapping.file)
        if known is None:
            path = f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}"
            known = read_functions(path)
            self._bytes += known.size_bytes
            while self._files and (len(self._files) >= _FILES or self._bytes > _KEPT_BYTES):
                self._bytes -= self._files.pop(next(iter(self._files))).size_bytes
            self._files[mapping.file] = known
        return known


def _executable(pid: int) -> list[_Mapping]:
    found: list[_Mapping] = []
    with suppress(OSError, ValueError), open(f"/proc/{pid}/maps", "rb") as lines:  # noqa: PTH123
        for line in lines:
            words = line.decode("utf-8", "replace").rstrip("\n").split(maxsplit=5)
            if "x" in words[1]:
                start, _, end = words[0].partition("-")
                path = words[5] if len(words) > 5 else ""
                found.append(
                    _Mapping(
                        int(start, 16),
                        int(end, 16),
                        int(words[2], 16),
                        path,
                        (words[3], words[4] if words[4] != "0" else f"{pid} {start}"),
                    )
                )
    return found


@dataclass(frozen=True, slots=True)
class Functions:
    """A file's functions: `starts` in its own addresses, sorted; `segments` as it is loaded."""

    starts: list[int]
    ends: list[int]
    names: list[bytes]
    segments: list[tuple[int, int, int]]  # offset in the file, size, address

    @property
    def size_bytes(self) -> int:
        """Return what its names take."""
        return sum(map(len, self.names))

    def at(self, offset: int) -> str:
        """Return the function at an offset in the file, empty where there is none."""
        for begin, size, address in self.segments:
            if begin <= offset < begin + size:
                wanted = offset - begin + address
                at = bisect_right(self.starts, wanted) - 1
                if at >= 0 and wanted < self.ends[at]:
                    return self.names[at].decode("utf-8", "replace")
        return ""


def read_functions(path: str) -> Functions:
    """Return the functions of a 64-bit little-endian ELF file; none where it is anything else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not 64 <= os.fstat(handle).st_size <= _LARGEST_BYTES:
                return Functions([], [], [], [])
            with mmap.mmap(handle, 0, prot=mmap.PROT_READ) as content:
                return _parsed(content)
        finally:
            os.close(handle)
    except (OSError, ValueError, OverflowError, struct.error, IndexError):
        return Functions([], [], [], [])


def _parsed(elf: mmap.mmap) -> Functions:
    if elf[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not an ELF file of this kind")
    programs, sections = struct.unpack_from("<QQ", elf, 32)
    program_count, _, section_count = struct.unpack_from("<HHH", elf, 56)
    segments = []
    for number in range(program_count):
        kind, _, offset, address, _, size = struct.unpack_from(
            "<IIQQQQ", elf, programs + 56 * number
        )
        if kind == _LOAD:
            segments.append((offset, size, address))
    headers = [
        struct.unpack_from("<IIQQQQII", elf, sections + 64 * number)
        for number in range(section_count)
    ]
    found: dict[int, tuple[int, bytes]] = {}
    tables = _MOST_TABLES
    for wanted in (_DYNAMIC, _ALL):
        for _, kind, _, _, offset, size, link, _ in headers:
            if kind == wanted and tables:
                tables -= 1
                found.update(_table(elf, offset, size, headers[link][4], headers[link][5]))
    starts = sorted(found)
    ends = [start + found[start][0] for start in starts]
    return Functions(starts, ends, [found[start][1] for start in starts], segments)


def _table(
    elf: mmap.mmap, offset: int, size: int, text: int, text_size: int
) -> dict[int, tuple[int, bytes]]:
    found = {}
    size = min(size - size % 24, 24 * _MOST_SYMBOLS)
    names = elf[text : text + min(text_size, _NAMES_BYTES)]
    room = _NAMES_BYTES
    for name, info, _, section, value, length in struct.iter_unpack(
        "<IBBHQQ", elf[offset : offset + size]
    ):
        if info & 15 == _FUNCTION and section and length:
            word = names[name : name + _LONGEST_NAME].partition(b"\0")[0]
            room -= len(word)
            if room < 0:
                break
            found[value] = (length, word)
    return found


@lru_cache(maxsize=1)
def symbols() -> Symbols:
    """Return this process's only one."""
    return Symbols()
