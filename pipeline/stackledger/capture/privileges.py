"""Gives up what a recording does not need once its probes are in place.

bpftrace keeps its own privileges: it is another process. What is kept here reads other
processes' files, enters their network namespaces, and writes into a store that may be
another user's.
"""

from __future__ import annotations

import ctypes
import errno

from stackledger import diagnostics

# Numbers of linux/capability.h.
NEEDED = {
    "CHOWN": 0,  # the capture belongs to who called sudo
    "DAC_OVERRIDE": 1,  # a store in a home that only its owner may enter
    "DAC_READ_SEARCH": 2,
    "KILL": 5,  # the command that is recorded may run as another user
    "NET_ADMIN": 12,  # buffers and congestion of every socket
    "SYS_PTRACE": 19,  # /proc/PID/fd, exe and io of every process
    "SYS_ADMIN": 21,  # setns to list sockets; /proc/PID/map_files
}
_VERSION_3 = 0x20080522
_SET_NO_NEW_PRIVS = 38


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def drop() -> None:
    """Keep the capabilities NEEDED of those there are, and get no new ones by any program.

    Of this thread, and of those that it starts from now on. Where the kernel refuses, a
    warning is all: the recording is as good.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = _Header(_VERSION_3, 0), (_Data * 2)()
    if libc.capget(ctypes.byref(header), data) != 0:
        _refused()
        return
    kept = sum(1 << number for number in NEEDED.values())
    for word, one in enumerate(data):
        one.effective = one.permitted = one.permitted & (kept >> 32 * word) & 0xFFFFFFFF
        one.inheritable = 0
    if (
        libc.capset(ctypes.byref(header), data) != 0
        or libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
    ):
        _refused()


def _refused() -> None:
    word = errno.errorcode.get(ctypes.get_errno(), "")
    diagnostics.warning(f"privileges that are not needed could not be dropped: {word}")
