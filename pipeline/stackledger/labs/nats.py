"""The lab's broker: a NATS server that keeps messages on the disk, and a client of it.

The protocol is lines of text: https://docs.nats.io/reference/reference-protocols/nats-protocol.
A message is published with an address for the answer; the server's stream answers
when it has stored it.
"""

from __future__ import annotations

import json
import secrets
import shutil
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stackledger.errors import StackledgerError
from stackledger.labs import programs, servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STREAM, SUBJECT = "ORDERS", "orders.placed"


class Publisher:
    """One connection; a message at a time, and each is acknowledged before the next."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        # Its own: an answer goes to all that listen on an address.
        self._inbox = f"_INBOX.{secrets.token_hex(8)}"
        self._line()  # INFO
        words = json.dumps({"verbose": False, "pedantic": False, "name": "lab"})
        self._socket.sendall(f"CONNECT {words}\r\nSUB {self._inbox} 1\r\nPING\r\n".encode())
        while self._line() != b"PONG":
            pass

    def ask(self, subject: str, content: bytes) -> bytes:
        """Publish, and return what is answered."""
        head = f"PUB {subject} {self._inbox} {len(content)}\r\n".encode()
        self._socket.sendall(head + content + b"\r\n")
        while True:
            line = self._line()
            if line.startswith(b"MSG "):
                size = int(line.rsplit(b" ", 1)[1])
                while len(self._received) < size + 2:
                    self._receive()
                answer, self._received = self._received[:size], self._received[size + 2 :]
                return answer
            if line == b"PING":
                self._socket.sendall(b"PONG\r\n")
            elif line.startswith(b"-ERR"):
                raise ConnectionError(line.decode(errors="replace"))

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _line(self) -> bytes:
        while b"\r\n" not in self._received:
            self._receive()
        line, _, self._received = self._received.partition(b"\r\n")
        return line

    def _receive(self) -> None:
        chunk = self._socket.recv(65536)
        if not chunk:
            raise ConnectionError("the broker closed the connection")
        self._received += chunk


@contextmanager
def broker(folder: Path, port: int) -> Iterator[servers.Server]:
    """Run the server with one stream, as an unprivileged user in a folder of its own."""
    user = programs.unprivileged_user()
    home = folder / "nats"
    home.mkdir(mode=0o700)
    shutil.chown(home, user)
    argv = [programs.programs(["nats-server"])["nats-server"]]
    argv += ["--addr", "127.0.0.1", "--port", str(port), "--jetstream", "--store_dir", str(home)]
    servers.require_free("broker", port)
    with servers.server("broker", argv, folder=folder, user=user) as it:
        servers.wait_until(lambda: servers.accepts(port), it)
        publisher = Publisher(port)
        try:
            wanted = {"name": STREAM, "subjects": [SUBJECT], "storage": "file", "num_replicas": 1}
            told = publisher.ask(f"$JS.API.STREAM.CREATE.{STREAM}", json.dumps(wanted).encode())
        finally:
            publisher.close()
        if b'"error"' in told:
            raise StackledgerError("the broker made no stream", told.decode(errors="replace"))
        yield it
