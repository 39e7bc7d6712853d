"""Opens, reads, writes and syncs files below a folder so and so often; prints pid and inodes.

    python files_load.py FOLDER

Run by test_fs_files.py, below strace, which counts too.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import sys
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
OPEN, CREAT, OPENAT2, AT_FDCWD = 2, 85, 437, -100
NASTY = b'no\n"such\xff\\file,'

folder = Path(sys.argv[1])


class How(ctypes.Structure):
    """What openat2 is asked."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)


def opens() -> None:
    there, missing = os.fsencode(folder / "there"), os.fsencode(folder) + b"/" + NASTY
    (folder / "there").write_bytes(b"x" * 100)
    for path, by_open, by_openat, by_openat2 in ((there, 23, 29, 31), (missing, 5, 7, 11)):
        for _ in range(by_open):
            close(LIBC.syscall(OPEN, path, os.O_RDONLY))
        for _ in range(by_openat):
            try:
                close(os.open(path, os.O_RDONLY))
            except FileNotFoundError:
                continue
        how = How(os.O_RDONLY | os.O_NOATIME, 0, 0)
        for _ in range(by_openat2):
            close(LIBC.syscall(OPENAT2, AT_FDCWD, path, ctypes.byref(how), ctypes.sizeof(how)))
    for number in range(13):
        os.close(LIBC.syscall(CREAT, os.fsencode(folder / f"new{number}"), 0o600))
    for _ in range(3):
        LIBC.syscall(OPEN, 1, os.O_RDONLY)  # EFAULT
    long = folder / ("d" * 100) / ("f" * 60)
    long.parent.mkdir()
    long.touch()
    (folder / "new0").rename(folder / "renamed")
    (folder / "new1").unlink()


def reads_and_writes() -> int:
    fd = os.open(folder / "data", os.O_RDWR | os.O_CREAT)
    for number in range(41):
        os.write(fd, b"x" * (1000 + number))
    os.pwrite(fd, b"y" * 77, 5)
    os.writev(fd, [b"a" * 10, b"b" * 20])
    os.pwritev(fd, [b"c" * 30], 0)
    for number in range(37):
        os.pread(fd, 100 + number, 3)
    os.lseek(fd, 0, os.SEEK_SET)
    os.read(fd, 500)
    os.readv(fd, [bytearray(50), bytearray(60)])
    os.preadv(fd, [bytearray(70)], 0)
    for call in (os.fsync, os.fdatasync):
        for number in range(19 if call is os.fsync else 17):
            os.pwrite(fd, b"z" * 10, number)
            call(fd)
    LIBC.fsync(9999)
    # Neither a pipe nor a mapping is a file that is read.
    reader, writer = os.pipe()
    os.write(writer, b"1234")
    os.read(reader, 4)
    with mmap.mmap(fd, 0) as mapped:
        assert mapped[0] >= 0
    inode = os.fstat(fd).st_ino
    # Wrong: it is open for writing only.
    only = os.open(folder / "data", os.O_WRONLY)
    for _ in range(3):
        LIBC.read(only, ctypes.create_string_buffer(4), 4)
    return inode


LIBC.prctl(15, b"filesload", 0, 0, 0)
opens()
print(json.dumps({"pid": os.getpid(), "inode": reads_and_writes()}))
