"""The lab's application: a threaded HTTP/1.1 server in front of PostgreSQL.

Run by the lab as `python -m stackledger.labs.app`; standard library only. One
thread and one database connection per HTTP connection. An answer leaves in one
`send`, with TCP_NODELAY: two writes would add Nagle's 40 ms to every request.
Each endpoint does one thing whose cost is known, and `/stats` reports what the
application itself counted, to compare a ledger with.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from stackledger.labs.endpoints import (
    DOCUMENT_BYTES,
    Answer,
    Endpoints,
    NotFoundError,
    Tally,
    split,
)
from stackledger.labs.pgwire import DatabaseError

LOCK_HELD_S = 0.020
LOCK_FREE_S = 0.002
_IDLE_S = 0.100
_MAX_HEAD_BYTES = 65536


class Application:
    """What the threads share: the database's address, the lock, the tallies."""

    def __init__(self, database: tuple[str, int] | str, folder: Path, broker: int = 0) -> None:
        self.database = database
        self.broker = broker
        self.folder = folder
        self.document = folder / "document"
        self.document.write_bytes(os.urandom(DOCUMENT_BYTES))
        self.tallies: list[dict[str, Tally]] = []
        self.contended = threading.Lock()
        self.wanted_s = 0.0

    def hold_lock(self) -> None:
        """Hold the contended lock 20 of every 22 ms while `/api/lock` is in use."""
        while True:
            if time.monotonic() - self.wanted_s > 1:
                time.sleep(_IDLE_S)
                continue
            with self.contended:
                time.sleep(LOCK_HELD_S)
            time.sleep(LOCK_FREE_S)

    def stats(self) -> Answer:
        """Return requests served, thread CPU, wall time and known waiting, by endpoint."""
        total: dict[str, Tally] = {}
        for tallies in list(self.tallies):
            for endpoint, tally in list(tallies.items()):
                into = total.setdefault(endpoint, Tally())
                into.requests += tally.requests
                into.cpu_ns += tally.cpu_ns
                into.wall_ns += tally.wall_ns
                into.waited_ns += tally.waited_ns
        return {endpoint: vars(tally) for endpoint, tally in sorted(total.items())}


class Worker:
    """One accepted connection, served by one thread until it closes."""

    def __init__(self, app: Application, accepted: socket.socket) -> None:
        self._socket = accepted
        self._endpoints = Endpoints(app)
        app.tallies.append(self._endpoints.tallies)

    def serve(self) -> None:
        """Answer request after request, until the other side closes."""
        pending = b""
        try:
            while True:
                while b"\r\n\r\n" not in pending:
                    chunk = self._socket.recv(_MAX_HEAD_BYTES)
                    if not chunk or len(pending) > _MAX_HEAD_BYTES:
                        return
                    pending += chunk
                begun = time.thread_time_ns(), time.monotonic_ns()
                head, _, pending = pending.partition(b"\r\n\r\n")
                if not self._respond(head.decode("latin-1"), begun):
                    return
        except OSError:
            pass
        finally:
            self._socket.close()
            self._endpoints.close()

    def _respond(self, head: str, begun: tuple[int, int]) -> bool:
        """Answer one request; return whether the connection goes on."""
        request, _, headers = head.partition("\r\n")
        method, _, rest = request.partition(" ")
        target = rest.partition(" ")[0]
        fields = headers.lower()
        alive = "connection: close" not in fields and rest.endswith("HTTP/1.1")
        if method != "GET" or _has_body(fields):
            self._send(405, {"error": "only GET"}, alive=False)
            return False
        parts = urlsplit(target)
        endpoint, tail = split(parts.path)
        tally = self._endpoints.tally(endpoint)
        try:
            status, answer = 200, self._endpoints.answer(endpoint, tail, parts.query)
        except NotFoundError:
            status, answer = 404, {"error": "not found"}
        except (DatabaseError, OSError) as failure:
            status, answer = 503, {"error": str(failure)}
            self._endpoints.forget()
        tally.requests += 1
        self._send(status, answer, alive=alive)
        tally.cpu_ns += time.thread_time_ns() - begun[0]
        tally.wall_ns += time.monotonic_ns() - begun[1]
        return alive

    def _send(self, status: int, answer: Answer, *, alive: bool) -> None:
        body = json.dumps(answer).encode()
        head = (
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Failed'}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"Connection: {'keep-alive' if alive else 'close'}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + body)


def _has_body(fields: str) -> bool:
    return any(f"\n{name}:" in f"\n{fields}" for name in ("content-length", "transfer-encoding"))


def main() -> None:
    """Listen and serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", required=True, help="HOST:PORT, or a Unix socket's path")
    parser.add_argument("--folder", type=Path, required=True, help="where its own files go")
    parser.add_argument("--broker", type=int, default=0, help="its port, if there is one")
    parser.add_argument("--address", default="127.0.0.1", help="where to listen")
    chosen = parser.parse_args()
    host, _, port = chosen.database.rpartition(":")
    database = (host, int(port)) if host else chosen.database
    app = Application(database, chosen.folder, chosen.broker)
    threading.Thread(target=app.hold_lock, name="lock-holder", daemon=True).start()
    with socket.create_server((chosen.address, chosen.port), backlog=511) as listener:
        while True:
            accepted, _ = listener.accept()
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            worker = Worker(app, accepted)
            threading.Thread(target=worker.serve, daemon=True).start()


if __name__ == "__main__":
    main()
