"""The compared service in Python: a thread per connection, standard library only.

    python service.py PORT REDIS_PORT FOLDER

GET /work/{id}: compute for a while, get item:{id} from Redis, write 4 KiB to a file
of its own and wait until they are on the disk. The same in every language.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

STEPS, RECORD_BYTES, RECORDS = 20_000, 4096, 64


def compute(number: int) -> int:
    """Return the same number in every language, after so many steps."""
    value = number % 65537
    for _ in range(STEPS):
        value = (value * 75 + 74) % 65537
    return value


class Redis:
    """One connection, one command at a time."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, key: str) -> str:
        """Return a key's value."""
        self._socket.sendall(f"*2\r\n$3\r\nGET\r\n${len(key)}\r\n{key}\r\n".encode())
        reply = b""
        while reply.count(b"\r\n") < 2:
            reply += self._socket.recv(65536)
        return reply.split(b"\r\n")[1].decode()


def serve(accepted: socket.socket, redis_port: int, folder: Path) -> None:
    """Answer request after request, until the other side closes."""
    redis = Redis(redis_port)
    path = folder / f"python-{threading.get_native_id()}"
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(file, bytes(RECORDS * RECORD_BYTES), 0)
    os.fsync(file)
    saved, pending = 0, b""
    while True:
        while b"\r\n\r\n" not in pending:
            chunk = accepted.recv(65536)
            if not chunk:
                return
            pending += chunk
        head, _, pending = pending.partition(b"\r\n\r\n")
        words = head.split(b" ")[1].decode().split("/")
        if words[1] != "work":
            body = "ok"
        else:
            value = compute(int(words[2]))
            item = redis.get(f"item:{words[2]}")
            saved = (saved + 1) % RECORDS
            os.pwrite(file, item.encode().ljust(RECORD_BYTES), saved * RECORD_BYTES)
            os.fdatasync(file)
            body = f"{value} {item}"
        accepted.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


def main() -> None:
    """Listen and serve until killed."""
    port, redis_port, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    with socket.create_server(("127.0.0.1", port), backlog=511) as listener:
        while True:
            accepted, _ = listener.accept()
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(accepted, redis_port, folder), daemon=True).start()


if __name__ == "__main__":
    main()
