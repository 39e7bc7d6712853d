"""One keep-alive HTTP/1.1 connection of the load generator, stamped in nanoseconds."""

from __future__ import annotations

import re
import socket
import struct
import time

# A request without an answer for this long has failed.
ANSWER_LIMIT_S = 30.0

# The kernel's clock at the arrival of what is read; the socket module has no name for it.
_SO_TIMESTAMPNS = 35
_STAMP = struct.Struct("qq")

_LENGTH = re.compile(r"\ncontent-length:\s*(\d+)")


class Connection:
    """A connection with at most one request under way.

    After `receive()` has returned True, `status`, `latency_ns`, `arrival_ns` and
    `size_bytes` tell about the answer. Both times are from just before the send:
    `latency_ns` to when this program had the last byte, `arrival_ns` to when the
    kernel had it. What lies between is this program's own wait for a CPU.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._received = bytearray()
        self._head_bytes = 0
        self._body_bytes: int | None = None
        self._chunked = False
        self._closing = False
        self.status = 0
        self.sent_ns = 0
        self.latency_ns = 0
        self.arrival_ns = 0
        self._sent_realtime_ns = 0
        self.size_bytes = 0
        self._open()

    def _open(self) -> None:
        self._socket = socket.create_connection(self._address, timeout=ANSWER_LIMIT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._closing = False

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def reconnect(self) -> None:
        """Replace the connection by a new one."""
        self._socket.close()
        self._open()

    def send(self, request: bytes) -> None:
        """Send one request, on a new connection if the last answer ended the old one."""
        if self._closing:
            self.reconnect()
        self._received.clear()
        self._head_bytes = 0
        self._sent_realtime_ns = time.time_ns()
        self.sent_ns = time.monotonic_ns()
        self._socket.sendall(request)

    def receive(self) -> bool:
        """Take what has arrived and return whether the answer is complete.

        Raises OSError when the connection broke or what came is not HTTP.
        """
        chunk, control, _, _ = self._socket.recvmsg(262_144, 64)
        now_ns = time.monotonic_ns()
        self._received += chunk
        if not self._head_bytes:
            self._read_head()
        if not self._complete(ended=not chunk):
            if not chunk:
                raise ConnectionError("closed before the end of the answer")
            return False
        self._closing |= not chunk
        self.latency_ns = self.arrival_ns = now_ns - self.sent_ns
        if control:
            seconds, nanoseconds = _STAMP.unpack(control[0][2])
            self.arrival_ns = seconds * 1_000_000_000 + nanoseconds - self._sent_realtime_ns
        self.size_bytes = len(self._received)
        return True

    def _complete(self, *, ended: bool) -> bool:
        if not self._head_bytes:
            return False
        if self._body_bytes is not None:
            return len(self._received) >= self._head_bytes + self._body_bytes
        return self._received.endswith(b"0\r\n\r\n") if self._chunked else ended

    def _read_head(self) -> None:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._received[:end].decode("latin-1").lower()
        try:
            self.status = int(head.split(None, 2)[1])
        except (IndexError, ValueError) as failure:
            raise ConnectionError("not an HTTP answer") from failure
        length = _LENGTH.search(head)
        self._body_bytes = int(length[1]) if length else None
        if self.status in (204, 304):
            self._body_bytes = 0
        self._chunked = "\ntransfer-encoding: chunked" in head
        self._closing = "\nconnection: close" in head or head.startswith("http/1.0")
        self._head_bytes = end + 4
