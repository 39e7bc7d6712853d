"""A threaded server on ::1 and its client, each a process of its own.

    python small_server.py serve PORT      answers until it is killed
    python small_server.py ask PORT CONNECTIONS REQUESTS

The client sends REQUESTS on each of CONNECTIONS, then two that are never answered:
one whose thread sleeps and one whose thread waits for a lock; and ends half a second
later, with their connections open.
"""

from __future__ import annotations

import socket
import sys
import threading
import time

NEVER_S = 600
OPEN_S = 0.5
SECRET_ID = 987_654_321_012_345
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

_held = threading.Lock()


def serve(port: int) -> None:
    """Answer every connection in a thread of its own."""
    _held.acquire()
    with socket.create_server(("::1", port), family=socket.AF_INET6) as listener:
        print("ready", flush=True)
        while True:
            accepted, _ = listener.accept()
            threading.Thread(target=_answer, args=(accepted,), daemon=True).start()


def _answer(accepted: socket.socket) -> None:
    while request := accepted.recv(65536):
        if request.startswith(b"GET /sleep"):
            time.sleep(NEVER_S)
        if request.startswith(b"GET /lock"):
            _held.acquire()
        accepted.sendall(ANSWER)


def ask(port: int, connections: int, requests: int) -> None:
    """Send the requests; leave two open."""
    for _ in range(connections):
        with socket.create_connection(("::1", port)) as connection:
            for _ in range(requests):
                connection.sendall(f"GET /item/{SECRET_ID}?q=1 HTTP/1.1\r\n\r\n".encode())
                connection.recv(65536)
    kept = [socket.create_connection(("::1", port)) for _ in range(2)]
    for connection, path in zip(kept, ("/sleep", "/lock"), strict=True):
        connection.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    time.sleep(OPEN_S)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        ask(*map(int, sys.argv[2:]))
