"""The sockets of each network namespace as rows, with the process that has each open."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import time
from collections.abc import Collection
from contextlib import suppress
from functools import lru_cache
from typing import Any

import pyarrow as pa

from stackledger.capture import tcpinfo
from stackledger.capture.counters.namespaces import Namespaces
from stackledger.capture.sockdiag import LISTEN, STATES, Listed, channel_of, sockets
from stackledger.capture.writer import arrow_schema

# Of one CPU: with so many sockets that listing them takes longer, it is done less often.
_SHARE = 0.02
_EVERYWHERE_EVERY = 10
_INT64 = 1 << 63
_HEAD = ("ts_ns", "interval_ns", "netns")
_COLUMNS = (
    *_HEAD,
    "protocol",
    "family",
    "state",
    "local_addr",
    "local_port",
    "remote_addr",
    "remote_port",
    "cookie",
    "inode",
    "uid",
    "pid",
    "recv_queue_bytes",
    "send_queue_bytes",
    "backlog",
    "backlog_limit",
    "rmem_bytes",
    "rmem_limit_bytes",
    "wmem_bytes",
    "wmem_limit_bytes",
    "drops",
    "congestion",
    *tcpinfo.COLUMNS,
)
# Of SO_MEMINFO.
_RMEM, _RMEM_LIMIT, _WMEM_ALLOC, _WMEM_LIMIT, _WMEM_QUEUED, _DROPS = 0, 1, 2, 3, 5, 8

Values = tuple[Any, ...]


class Owners:
    """Knows which process has a socket open, by inode: looks through those that ran lately."""

    def __init__(self) -> None:
        self._pids: dict[int, int] = {}
        self._nobody: set[int] = set()
        self._calls = 0

    def learn(self, wanted: set[int], alive: Collection[int], active: Collection[int]) -> None:
        """Look for the sockets of which no living process is known."""
        self._pids = {i: pid for i, pid in self._pids.items() if i in wanted and pid in alive}
        missing = wanted - self._pids.keys()
        # Who opens a socket has run; now and then look at those too who inherited one.
        everywhere = self._calls % _EVERYWHERE_EVERY == 0
        self._calls += 1
        if not everywhere:
            missing -= self._nobody
        for pid in alive if everywhere else active:
            if missing:
                missing -= self._of(pid, missing)
        if everywhere:
            self._nobody = missing

    def of(self, inode: int) -> int | None:
        """Return a process that has the socket open, None where none is known."""
        return self._pids.get(inode)

    def _of(self, pid: int, missing: set[int]) -> set[int]:
        found = set()
        base = f"/proc/{pid}/fd"
        with suppress(OSError):
            for name in os.listdir(base):  # noqa: PTH208
                with suppress(OSError):
                    target = os.readlink(f"{base}/{name}")  # noqa: PTH115 - hundreds a second
                    if target.startswith("socket:["):
                        inode = int(target[8:-1])
                        if inode in missing:
                            self._pids[inode] = pid
                            found.add(inode)
        return found


class Sockets:
    """Samples the sockets of the namespaces that have their turn, as often as it may cost."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._owners = Owners()
        self._channels: dict[int, socket.socket] = {}
        self._enter = ctypes.CDLL(None, use_errno=True).setns
        self._before_ns = 0
        self._due_ns = 0

    def sample(
        self, now_ns: int, offset_ns: int, alive: Collection[int], active: Collection[int]
    ) -> pa.Table | None:
        """Return the rows of `socket`; None where it is not time yet, and at the first call.

        `alive`: the processes that there are; `active`: those that ran lately.
        """
        if now_ns < self._due_ns:
            return None
        begun_s = time.thread_time()
        listed = [
            (number, one)
            for number, base in self._namespaces.turn()
            for one in self._in(number, base)
        ]
        self._owners.learn({one.inode for _, one in listed if one.inode}, alive, active)
        interval_ns = now_ns - self._before_ns
        rows = [
            (now_ns + offset_ns, interval_ns, number, *columns(one, self._owners.of(one.inode)))
            for number, one in listed
        ]
        made = table(rows) if self._before_ns else None
        self._before_ns = now_ns
        self._due_ns = now_ns + int((time.thread_time() - begun_s) / _SHARE * 1e9)
        return made

    def close(self) -> None:
        """Close the channels."""
        for one in self._channels.values():
            one.close()
        self._channels.clear()

    def _in(self, number: int, base: str) -> list[Listed]:
        for gone in self._channels.keys() - self._namespaces.alive.keys():
            self._channels.pop(gone).close()
        if number not in self._channels:
            made = channel_of(f"{base.removesuffix('/net')}/ns/net", self._enter)
            if made is None:
                return []
            self._channels[number] = made
        try:
            return list(sockets(self._channels[number]))
        except (OSError, struct.error):
            # Half an answer would be read as the next one's.
            self._channels.pop(number).close()
            return []


def table(rows: list[Values]) -> pa.Table:
    """Return rows in the order of `_COLUMNS` as the registered table."""
    schema = arrow_schema("socket")
    given = dict(zip(_COLUMNS, zip(*rows, strict=True), strict=True)) if rows else {}
    arrays = [pa.array(given.get(field.name, ()), field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def columns(one: Listed, pid: int | None) -> Values:
    """Return the columns of a socket behind those of its sample."""
    tcp = one.protocol == socket.IPPROTO_TCP
    listening = tcp and one.state == LISTEN
    queues = (one.recv_queue, one.send_queue)
    memory = one.memory
    return (
        "tcp" if tcp else "udp",
        one.family,
        STATES.get(one.state, str(one.state)),
        _address(one.local[0]),
        one.local[1],
        _address(one.remote[0]),
        one.remote[1],
        one.cookie % _INT64,
        one.inode,
        one.uid,
        pid,
        *((None, None, *queues) if listening else (*queues, None, None)),
        *(
            (
                memory[_RMEM],
                memory[_RMEM_LIMIT],
                memory[_WMEM_QUEUED if tcp else _WMEM_ALLOC],
                memory[_WMEM_LIMIT],
                memory[_DROPS],
            )
            if memory
            else (None,) * 5
        ),
        one.congestion.decode("ascii", "replace") if tcp and one.congestion else None,
        *(tcpinfo.values(one.info) if tcp and not listening else tcpinfo.NOTHING),
    )


@lru_cache(maxsize=4096)
def _address(packed: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
