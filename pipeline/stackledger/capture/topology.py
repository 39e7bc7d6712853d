"""What runs on the host: processes, listening sockets, disks and cgroups, from /proc and /sys."""

from __future__ import annotations

import os
import platform
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pyarrow as pa

from stackledger.capture.arguments import normalised
from stackledger.capture.program import cgroup2_mounts
from stackledger.capture.writer import arrow_schema
from stackledger.manifest import Anchor, Cgroup, Disk, Listener, Machine, Topology

_CMDLINE_BYTES = 256
_LISTEN_STATE = "0A"
_UNIX_ACCEPTING = 0x10000
# Num: RefCount Protocol Flags Type St Inode Path
_UNIX = re.compile(
    r"[0-9a-f]+: [0-9A-F]{8} [0-9A-F]{8} ([0-9A-F]{8}) [0-9A-F]{4} [0-9A-F]{2} +([0-9]{1,20}) (.+)",
    re.DOTALL,
)
_SECTOR_BYTES = 512


def snapshot() -> Topology:
    """Return listeners, disks and cgroups as they are now."""
    return Topology(listeners=listeners(), disks=disks(), cgroups=cgroups())


def machine() -> Machine:
    """Return the host's CPUs, memory and architecture."""
    model = ""
    with suppress(OSError):
        for line in _lines("/proc/cpuinfo"):
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return Machine(
        cpus=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        arch=platform.machine(),
        cpu_model=model,
    )


def boot_id() -> str:
    """Return the kernel's id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def processes(clock: Anchor, known: set[tuple[int, int]], *, payload: bool = False) -> pa.Table:
    """Return rows of `process` for those not yet in `known` (pid and start), and add them to it.

    Without `payload` their command lines are normalised.
    """
    ticks = os.sysconf("SC_CLK_TCK")
    rows = []
    for pid in psutil.pids():
        with suppress(OSError, ValueError, IndexError, StopIteration):
            base = Path("/proc") / str(pid)
            stat = (base / "stat").read_bytes().decode("utf-8", "replace")
            # The name may hold spaces and parentheses: the last one ends it.
            comm = stat[stat.index("(") + 1 : stat.rindex(")")]
            fields = stat[stat.rindex(")") + 2 :].split()
            identity = (pid, int(fields[19]))
            if identity in known:
                continue
            cmdline = (base / "cmdline").read_bytes()[:_CMDLINE_BYTES].rstrip(b"\0")
            words = cmdline.decode("utf-8", "replace").split("\0") if cmdline else []
            exe = ""
            with suppress(OSError):  # kernel threads have none
                exe = os.fsencode((base / "exe").readlink()).decode("utf-8", "replace")
            started = identity[1] * 1_000_000_000 // ticks
            rows.append(
                {
                    "ts_ns": clock.realtime_ns,
                    "pid": pid,
                    "ppid": int(fields[1]),
                    "start_ts_ns": started + clock.offset_ns,
                    "comm": comm,
                    "exe": exe,
                    "cmdline": " ".join(words if payload else normalised(words)),
                    "cgroup": _own_cgroup(base),
                    "uid": base.stat().st_uid,
                }
            )
            known.add(identity)
    return pa.Table.from_pylist(rows, schema=arrow_schema("process"))


def listeners() -> list[Listener]:
    """Return the listening sockets of every network namespace that a process lives in."""
    owners: dict[int, tuple[int, str]] = {}
    namespaces: dict[str, Path] = {}
    for pid in psutil.pids():
        base = Path("/proc") / str(pid)
        with suppress(OSError):
            namespaces.setdefault(str((base / "ns/net").readlink()), base / "net")
        with suppress(OSError):
            comm = (base / "comm").read_bytes().decode("utf-8", "replace").rstrip("\n")
            for name in (base / "fd").iterdir():
                with suppress(OSError):
                    target = str(name.readlink())
                    if target.startswith("socket:["):
                        owners.setdefault(int(target[8:-1]), (pid, comm))
    found: dict[tuple[str, str, int, int], Listener] = {}
    for net in namespaces.values():
        for family, address, port, inode in _listening(net):
            pid, comm = owners.get(inode, (0, ""))
            found[family, address, port, inode] = Listener(
                family=family, address=address, port=port, pid=pid, comm=comm
            )
    return sorted(found.values(), key=lambda one: (one.family, one.port, one.address, one.pid))


def disks() -> list[Disk]:
    """Return the block devices that are not partitions and have a size."""
    found = []
    for line in _lines("/proc/partitions")[2:]:
        major, minor, blocks, name = line.split()
        base = Path("/sys/block") / name.replace("/", "!")
        if not base.is_dir() or int(blocks) == 0:
            continue
        found.append(
            Disk(
                dev=int(major) << 20 | int(minor),
                name=name,
                major=int(major),
                minor=int(minor),
                size_bytes=int(_word(base / "size") or 0) * _SECTOR_BYTES,
                rotational=_word(base / "queue/rotational") == "1",
                model=_word(base / "device/model"),
            )
        )
    return found


def cgroups() -> list[Cgroup]:
    """Return the cgroups that hold processes."""
    paths = {path for pid in psutil.pids() if (path := _own_cgroup(Path("/proc") / str(pid)))}
    mounts = cgroup2_mounts()
    found = []
    for path in sorted(paths):
        number = 0
        with suppress(OSError):
            if mounts:
                number = (mounts[0] / path.lstrip("/")).stat().st_ino
        found.append(Cgroup(path=path, id=number))
    return found


def _own_cgroup(base: Path) -> str:
    """Return a process's cgroup: version 2's path, else the longest of version 1."""
    paths: list[str] = []
    with suppress(OSError):
        for line in _lines(base / "cgroup"):
            number, _, path = line.split(":", 2)
            if number == "0" and path != "/":
                return path
            paths.append(path)
    return max(paths, key=len, default="")


def _listening(net: Path) -> Iterator[tuple[str, str, int, int]]:
    for family in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in _lines(net / family)[1:]:
                words = line.split()
                if words[3] == _LISTEN_STATE:
                    address, _, port = words[1].partition(":")
                    yield family, _address(address), int(port, 16), int(words[9])
    with suppress(OSError):
        for line in _lines(net / "unix")[1:]:
            # A path's own line ends make lines that mean nothing.
            if (found := _UNIX.match(line)) and int(found[1], 16) & _UNIX_ACCEPTING:
                yield "unix", found[3], 0, int(found[2])


def _address(text: str) -> str:
    """Return the address of /proc/net/tcp*: 32-bit words in the host's byte order."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _lines(path: str | Path) -> list[str]:
    # Names in them may hold what Python takes for the end of a line, as U+0085.
    return Path(path).read_bytes().decode("utf-8", "replace").removesuffix("\n").split("\n")


def _word(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace").strip()
    return ""
