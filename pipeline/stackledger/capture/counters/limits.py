"""What the kernel has a bound for: files, threads, connections, and room in file systems."""

from __future__ import annotations

import os
from contextlib import suppress

from stackledger.capture.counters.files import Row, Tables, content, integer, text

_MOUNTS_EVERY = 10
# A server or a program that hangs would hang us: no network file systems, no FUSE.
# zfs calls itself a file system without a device.
_NO_DEVICE_BUT_REAL = frozenset({"zfs"})
_HANGS = ("fuse", "nfs", "cifs", "smb", "ceph", "9p", "afs")
_NET = "/proc/sys/net"


class Limits:
    """Rows of host_limit."""

    def __init__(self) -> None:
        self._mounts: list[str] = []
        self._calls = 0

    def rows(self, now_ns: int) -> Tables:
        """Return use and limit of each bounded thing that this kernel has."""
        del now_ns
        if self._calls % _MOUNTS_EVERY == 0:
            kinds = text("/proc/filesystems")
            told = content("/proc/self/mountinfo").decode("utf-8", "surrogateescape")
            self._mounts = mounts(told, kinds)
        self._calls += 1
        found = [*_files(), *_threads(), *_conntrack()]
        with suppress(OSError):
            found += sockets(text("/proc/net/sockstat"), _socket_limits())
        for mount in self._mounts:
            with suppress(OSError):  # unmounted meanwhile
                found += room(mount, os.statvfs(os.fsencode(mount)))
        return {"host_limit": found}


def mounts(mountinfo: str, filesystems: str) -> list[str]:
    """Return one mount point, the shortest, of each local file system on a device."""
    real = {line.strip() for line in filesystems.splitlines() if not line.startswith("nodev")}
    found: dict[str, str] = {}
    for line in mountinfo.split("\n"):
        before, _, after = line.partition(" - ")
        words, kind = before.split(" "), after.split(" ", 1)[0]
        if kind.startswith(_HANGS) or kind not in real | _NO_DEVICE_BUT_REAL:
            continue
        device, mount = words[2], _unescaped(words[4])
        if device not in found or len(mount) < len(found[device]):
            found[device] = mount
    return sorted(found.values())


def room(mount: str, told: os.statvfs_result) -> list[Row]:
    """Return space and inodes of a file system, as `df` counts: the reserve is not capacity."""
    name = os.fsencode(mount).decode("utf-8", "replace")
    used = (told.f_blocks - told.f_bfree) * told.f_frsize
    rows = [_row("fs_space", "bytes", used, used + told.f_bavail * told.f_frsize, name)]
    if told.f_files:  # btrfs and vfat make inodes as they need them
        taken = told.f_files - told.f_ffree
        rows.append(_row("fs_inodes", "inodes", taken, told.f_files, name))
    return rows


def sockets(sockstat: str, bounds: dict[str, int | None]) -> list[Row]:
    """Return the rows of /proc/net/sockstat; memory is counted in pages there."""
    page = os.sysconf("SC_PAGE_SIZE")
    told = {}
    for line in sockstat.splitlines():
        protocol, _, rest = line.partition(": ")
        words = rest.split()
        for name, value in zip(words[::2], words[1::2], strict=False):
            told[protocol, name] = int(value)
    rows = []
    for resource, key, unit in (
        ("tcp_orphans", ("TCP", "orphan"), "sockets"),
        ("tcp_time_wait", ("TCP", "tw"), "sockets"),
        ("tcp_memory", ("TCP", "mem"), "bytes"),
        ("udp_memory", ("UDP", "mem"), "bytes"),
    ):
        if key in told:
            each = page if unit == "bytes" else 1
            bound = bounds.get(resource)
            rows.append(
                _row(resource, unit, told[key] * each, bound * each if bound is not None else None)
            )
    return rows


def _row(resource: str, unit: str, used: int, capacity: int | None, thing: str = "") -> Row:
    return {
        "resource": resource,
        "object": thing,
        "unit": unit,
        "used": used,
        "capacity": capacity,
    }


def _files() -> list[Row]:
    allocated, free, most = (int(word) for word in text("/proc/sys/fs/file-nr").split())
    inodes, unused = (int(word) for word in text("/proc/sys/fs/inode-nr").split())
    return [
        _row("open_files", "files", allocated - free, most),
        _row("inode_cache", "inodes", inodes - unused, None),
    ]


def _threads() -> list[Row]:
    tasks = int(text("/proc/loadavg").split()[3].partition("/")[2])
    bounds = [integer(f"/proc/sys/kernel/{name}") for name in ("threads-max", "pid_max")]
    known = [bound for bound in bounds if bound is not None]
    return [_row("threads", "tasks", tasks, min(known) if known else None)]


def _conntrack() -> list[Row]:
    used = integer(f"{_NET}/netfilter/nf_conntrack_count")
    most = integer(f"{_NET}/netfilter/nf_conntrack_max")
    return [] if used is None else [_row("conntrack", "connections", used, most)]


def _socket_limits() -> dict[str, int | None]:
    return {
        "tcp_orphans": integer(f"{_NET}/ipv4/tcp_max_orphans"),
        "tcp_time_wait": integer(f"{_NET}/ipv4/tcp_max_tw_buckets"),
        "tcp_memory": _third(f"{_NET}/ipv4/tcp_mem"),
        "udp_memory": _third(f"{_NET}/ipv4/udp_mem"),
    }


def _third(path: str) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        return int(text(path).split()[2])
    return None


def _unescaped(word: str) -> str:
    """Return a path of mountinfo: blanks, line ends and backslashes are octal there."""
    for code in (" ", "\t", "\n"):
        word = word.replace(f"\\{ord(code):03o}", code)
    return word.replace("\\134", "\\")
