"""Does known things to files below a folder, a file each; prints what it did as JSON.

    python page_cache_load.py FOLDER DISK

What the kernel's own counters say of it is beside: /proc/self/io, and the disk's
sectors in /sys/block/DISK/stat. Run by test_fs_page_cache.py.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import sys
from collections.abc import Callable
from pathlib import Path

PAGE = 4096
PAGES = 997
NAME = b"cacheload"
LIBC = ctypes.CDLL(None, use_errno=True)

folder, disk = Path(sys.argv[1]), sys.argv[2]
result: dict[str, dict[str, int]] = {}


def io(name: str) -> int:
    for line in Path("/proc/self/io").read_text().splitlines():
        key, _, value = line.partition(": ")
        if key == name:
            return int(value)
    raise LookupError(name)


def sectors(column: int) -> int:
    return int(Path(f"/sys/block/{disk}/stat").read_text().split()[column])


def made(name: str, pages: int, tail: int = 0) -> int:
    """Make a file of so many pages that is on the disk and not in the cache."""
    fd = os.open(folder / name, os.O_RDWR | os.O_CREAT)
    os.write(fd, os.urandom(PAGE * pages - tail))
    os.fsync(fd)
    forget(fd)
    return fd


def forget(fd: int) -> None:
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def twin(fd: int, flags: int = os.O_RDWR) -> int:
    """Open the same file anew: with a read-ahead of its own."""
    return os.open(f"/proc/self/fd/{fd}", flags)


def step(name: str, fd: int, act: Callable[[], object], **expected: int) -> None:
    """Do it, and note the counters' difference; the file's inode tells its rows."""
    before = io("read_bytes"), io("write_bytes"), sectors(2), sectors(6)
    act()
    after = io("read_bytes"), io("write_bytes"), sectors(2), sectors(6)
    names = ("task_read_bytes", "task_write_bytes", "disk_read_sectors", "disk_write_sectors")
    counted = dict(zip(names, (b - a for a, b in zip(before, after, strict=True)), strict=True))
    result[name] = {"inode": os.fstat(fd).st_ino, "pid": os.getpid(), **counted, **expected}


def read_all(fd: int, size: int = 128 << 10) -> None:
    os.lseek(fd, 0, os.SEEK_SET)
    while os.read(fd, size):
        pass


def random_pages(fd: int, count: int) -> None:
    other = twin(fd)
    os.posix_fadvise(other, 0, 0, os.POSIX_FADV_RANDOM)
    for number in range(count):
        os.pread(other, 100, PAGE * 41 * number + 7)
    os.close(other)


def touch(fd: int, count: int, *, write: bool = False) -> None:
    pages = mmap.mmap(fd, 0)
    pages.madvise(mmap.MADV_RANDOM)
    for number in range(count):
        at = PAGE * (37 * number + 5)
        if write:
            pages[at] = number
        assert pages[at] >= 0
    pages.close()


def direct(fd: int, count: int) -> None:
    page = mmap.mmap(-1, PAGE)
    other = twin(fd, os.O_RDWR | os.O_DIRECT)
    for number in range(count):
        os.preadv(other, [page], PAGE * number)
        os.pwritev(other, [page], PAGE * number)
    os.close(other)


def dirty(fd: int, count: int, name: bytes = NAME) -> None:
    LIBC.prctl(15, name, 0, 0, 0)
    for number in range(count):
        os.pwrite(fd, b"x" * PAGE, PAGE * 3 * number)


def in_child(act: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        act()
        os._exit(0)
    os.waitpid(child, 0)
    return child


def looked_up(size: int, each: int) -> int:
    """Return the pages that reads of so many bytes ask for, one after the other to the end."""
    end = (size - 1) // PAGE
    return sum(min((at + each - 1) // PAGE, end) - at // PAGE + 1 for at in range(0, size, each))


def main() -> None:
    LIBC.prctl(15, NAME, 0, 0, 0)
    fd = os.open(folder / "written", os.O_RDWR | os.O_CREAT)
    step("written", fd, lambda: os.write(fd, os.urandom(PAGE * 499)))
    step("flushed", fd, lambda: os.fsync(fd))

    fd = made("cold", PAGES, tail=1500)
    step("cold", fd, lambda: read_all(fd))
    cold = os.open(folder / "warm", os.O_RDWR | os.O_CREAT)
    os.write(cold, os.urandom(PAGE * PAGES - 700))
    step("warm", cold, lambda: read_all(cold, 1 << 20))

    size = PAGE * 211 - 77
    for name, each in (("odd", 1000), ("odd_long", 5000)):
        odd = made(name, 211, tail=77)
        in_child(lambda fd=odd: read_all(fd))
        step(name, odd, lambda fd=odd, n=each: read_all(fd, n), lookups=looked_up(size, each))
    sent = made("sent", 61)
    in_child(lambda: read_all(sent))
    nowhere = os.open("/dev/null", os.O_WRONLY)
    step("sent", sent, lambda: os.sendfile(nowhere, sent, 0, 61 * PAGE))

    scattered = made("scattered", PAGES)
    step("scattered", scattered, lambda: random_pages(scattered, 23))
    ahead = made("ahead", 17)
    step("ahead", ahead, lambda: os.posix_fadvise(ahead, 0, 0, os.POSIX_FADV_WILLNEED))
    ahead_read = made("ahead_read", 17)
    os.posix_fadvise(ahead_read, 0, 0, os.POSIX_FADV_WILLNEED)
    step("ahead_read", ahead_read, lambda: read_all(ahead_read))

    mapped = made("mapped", PAGES)
    step("mapped", mapped, lambda: touch(mapped, 19))
    again = made("mapped_again", PAGES)
    in_child(lambda: touch(again, 19))
    step("mapped_again", again, lambda: touch(again, 19))
    through = made("mapped_dirty", PAGES)
    step("mapped_dirty", through, lambda: touch(through, 13, write=True))
    os.fdatasync(through)

    straight = made("direct", 101)
    step("direct", straight, lambda: direct(straight, 53))

    over = made("overwritten", 307)
    read_all(over)
    step("overwritten", over, lambda: dirty(over, 101))
    step("overwritten_flushed", over, lambda: os.fdatasync(over))
    shared = made("shared", 307)
    read_all(shared)
    step("shared", shared, lambda: dirty(shared, 11, b"cacheload-one"))
    LIBC.prctl(15, NAME, 0, 0, 0)
    result["shared"]["child"] = in_child(lambda: dirty(shared, 17, b"cacheload-two"))
    dropped = made("dropped", 127)
    read_all(dropped)
    step("dropped", dropped, (folder / "dropped").unlink)
    os.close(dropped)
    print(json.dumps(result))


main()
