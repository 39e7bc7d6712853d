"""A small HTTP server each of whose paths does one thing wrong. faulty_server.py PORT [NEXT_PORT]

One thread per connection; with ADDRESS in the environment it listens there, with
SEND_BUFFER its sockets have one of so many bytes; LARGE bytes answer /large.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

NEXT = ("127.0.0.1", int(sys.argv[2])) if len(sys.argv) > 2 else None
FILE = Path("content")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
LEAKED: list[object] = []
POOL = threading.BoundedSemaphore(1)
KEPT: list[socket.socket] = []
LOST: list[socket.socket] = []
LARGE = int(os.environ.get("LARGE", "0"))
LARGE_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE + bytes(LARGE)


def fine() -> None:
    """Do nothing."""


def tiny() -> None:
    """Read a file byte by byte."""
    handle = os.open(FILE, os.O_RDONLY)
    for _ in range(6000):
        os.read(handle, 1)
    os.close(handle)


def fork() -> None:
    """Run eight programs."""
    for _ in range(8):
        subprocess.run(["/bin/true"])


def sync() -> None:
    """Make a file durable, in a file of its own."""
    with Path(f"out-{threading.get_ident()}").open("ab") as out:
        out.write(b"x" * 8192)
        out.flush()
        os.fsync(out.fileno())


def leak() -> None:
    """Open files and forget them."""
    LEAKED.extend(os.open("/dev/null", os.O_RDONLY) for _ in range(3))


def churn() -> None:
    """Ask the next server over a new connection, and another one that is not used."""
    for _ in range(2):
        with connected() as there:
            ask(there, b"/fine")


def lose() -> None:
    """Ask the next server over a new connection, and forget to close it."""
    LOST.append(connected())
    ask(LOST[-1], b"/fine")


def ignore() -> None:
    """Do the same, where the next server closes its end."""
    LOST.append(connected())
    ask(LOST[-1], b"/bye")


def pool() -> None:
    """Ask the next server over the one connection that there is."""
    with POOL:
        if not KEPT:
            KEPT.append(connected())
        ask(KEPT[0], b"/nap")


def connected() -> socket.socket:
    """Return a new connection to the next server."""
    assert NEXT is not None
    there = socket.create_connection(NEXT)
    there.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return there


def ask(there: socket.socket, path: bytes) -> None:
    """Make a request over a connection."""
    there.sendall(b"GET " + path + b" HTTP/1.1\r\n\r\n")
    got = b""
    while not got.endswith(b"ok"):
        got += there.recv(4096)


def nap() -> None:
    """Sleep."""
    time.sleep(0.02)


def cached() -> None:
    """Read 256 pages here and there of a file that does not fit into its memory cgroup."""
    with Path("large").open("rb", buffering=0) as large:
        os.posix_fadvise(large.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        pages = os.fstat(large.fileno()).st_size // 4096
        for _ in range(256):
            os.pread(large.fileno(), 4096, random.randrange(pages) * 4096)


def grow() -> None:
    """Touch 8 MiB of memory of one's own."""
    much = bytearray(8 << 20)
    for at in range(0, len(much), 4096):
        much[at] = 1


ACTIONS = {
    f"/{one.__name__}": one
    for one in (fine, tiny, fork, sync, leak, churn, lose, ignore, pool, nap, cached, grow)
}


def serve(accepted: socket.socket) -> None:
    """Answer request after request on one connection."""
    pending = b""
    while True:
        while b"\r\n\r\n" not in pending:
            chunk = accepted.recv(65536)
            if not chunk:
                return
            pending += chunk
        head, _, pending = pending.partition(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        ACTIONS.get(path, fine)()
        if path == "/nagle":
            # Two small writes: the second waits until the first is acknowledged.
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
            accepted.sendall(HEAD)
            accepted.sendall(b"ok")
        elif path == "/large":
            accepted.sendall(LARGE_ANSWER)
        else:
            accepted.sendall(HEAD + b"ok")
        if path == "/bye":
            accepted.close()
            return


def main() -> None:
    """Listen and serve until killed; LATE_S seconds pass before each accept."""
    FILE.write_bytes(b"x" * 65536)
    address = (os.environ.get("ADDRESS", "127.0.0.1"), int(sys.argv[1]))
    buffer_bytes = int(os.environ.get("SEND_BUFFER", "0"))
    backlog, late_s = int(os.environ.get("BACKLOG", "128")), float(os.environ.get("LATE_S", "0"))
    with socket.create_server(address, backlog=backlog) as listener:
        while True:
            time.sleep(late_s)
            accepted, _ = listener.accept()
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if buffer_bytes:
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
            threading.Thread(target=serve, args=[accepted], daemon=True).start()


if __name__ == "__main__":
    main()
