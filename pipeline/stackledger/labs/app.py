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
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from stackledger.labs.pgwire import Connection, DatabaseError, literal

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = dict[str, object]

BUSY_NS = 10_000_000
SLEEP_S = 0.010
LOCK_HELD_S = 0.020
LOCK_FREE_S = 0.002
_IDLE_S = 0.100
_MAX_HEAD_BYTES = 65536

_ORDER = "SELECT id, customer, note FROM orders WHERE id = $1"
_SEARCH = "SELECT id, name FROM products WHERE name LIKE {} ORDER BY md5(name) LIMIT 5"
_COUNT = "SELECT count(*), sum(price) FROM products WHERE id % 7 = {}"


class NotFoundError(Exception):
    """No such path, or no such row."""


@dataclass
class Tally:
    """What one thread did for one endpoint; times in nanoseconds."""

    requests: int = 0
    cpu_ns: int = 0
    waited_ns: int = 0


class Application:
    """What the threads share: the database's address, the lock, the tallies."""

    def __init__(self, database: tuple[str, int] | str) -> None:
        self.database = database
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
        """Return requests served, thread CPU and known waiting, by endpoint."""
        total: dict[str, Tally] = {}
        for tallies in list(self.tallies):
            for endpoint, tally in list(tallies.items()):
                into = total.setdefault(endpoint, Tally())
                into.requests += tally.requests
                into.cpu_ns += tally.cpu_ns
                into.waited_ns += tally.waited_ns
        return {endpoint: vars(tally) for endpoint, tally in sorted(total.items())}


class Worker:
    """One accepted connection, served by one thread until it closes."""

    def __init__(self, app: Application, accepted: socket.socket) -> None:
        self._app = app
        self._socket = accepted
        self._database: Connection | None = None
        self._tallies: dict[str, Tally] = {}
        app.tallies.append(self._tallies)
        self._endpoints: dict[str, Callable[[str, str], Answer]] = {
            "/api/orders/{id}": self._orders,
            "/api/search": self._search,
            "/api/busy": self._busy,
            "/api/sleep": self._sleep,
            "/api/lock": self._lock,
            "/api/mixed": self._mixed,
            "/health": lambda _tail, _query: {"ok": True},
            "/stats": lambda _tail, _query: app.stats(),
        }

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
                begun = time.thread_time_ns()
                head, _, pending = pending.partition(b"\r\n\r\n")
                if not self._respond(head.decode("latin-1"), begun):
                    return
        except OSError:
            pass
        finally:
            self._socket.close()
            if self._database is not None:
                self._database.close()

    def _respond(self, head: str, begun: int) -> bool:
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
        endpoint, tail = _endpoint(parts.path)
        known = endpoint if endpoint in self._endpoints else "other"
        tally = self._tallies.setdefault(known, Tally())
        try:
            status, answer = 200, self._answer(endpoint, tail, parts.query)
        except NotFoundError:
            status, answer = 404, {"error": "not found"}
        except (DatabaseError, OSError) as failure:
            status, answer = 503, {"error": str(failure)}
            self._database = None
        tally.requests += 1
        self._send(status, answer, alive=alive)
        tally.cpu_ns += time.thread_time_ns() - begun
        return alive

    def _send(self, status: int, answer: Answer, *, alive: bool) -> None:
        body = json.dumps(answer).encode()
        head = (
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Failed'}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"Connection: {'keep-alive' if alive else 'close'}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + body)

    def _answer(self, endpoint: str, tail: str, query: str) -> Answer:
        if endpoint not in self._endpoints:
            raise NotFoundError
        return self._endpoints[endpoint](tail, query)

    def _connection(self) -> Connection:
        if self._database is None:
            self._database = Connection(self._app.database, user="lab", database="postgres")
        return self._database

    def _orders(self, tail: str, _query: str) -> Answer:
        if not (tail.isascii() and tail.isdigit() and len(tail) < 10):
            raise NotFoundError
        rows = self._connection().execute(_ORDER, tail)
        if not rows:
            raise NotFoundError
        return {"id": tail, "customer": rows[0][1], "note_bytes": len(rows[0][2] or "")}

    def _search(self, _tail: str, query: str) -> Answer:
        wanted = parse_qs(query).get("q", ["7"])[0]
        rows = self._connection().query(_SEARCH.format(literal(f"%{wanted}%")))
        return {"found": [name for _id, name in rows]}

    def _mixed(self, _tail: str, query: str) -> Answer:
        number = parse_qs(query).get("id", ["1"])[0]
        order = self._orders(number, "")
        rows = self._connection().query(_COUNT.format(int(number) % 7))
        return {"order": order, "products": rows[0][0]}

    def _busy(self, _tail: str, _query: str) -> Answer:
        begun = time.thread_time_ns()
        while (spent := time.thread_time_ns() - begun) < BUSY_NS:
            pass
        return {"cpu_ns": spent}

    def _sleep(self, _tail: str, _query: str) -> Answer:
        begun = time.monotonic_ns()
        time.sleep(SLEEP_S)
        waited = time.monotonic_ns() - begun
        self._tallies["/api/sleep"].waited_ns += waited
        return {"slept_ns": waited}

    def _lock(self, _tail: str, _query: str) -> Answer:
        self._app.wanted_s = time.monotonic()
        begun = time.monotonic_ns()
        with self._app.contended:
            waited = time.monotonic_ns() - begun
        self._tallies["/api/lock"].waited_ns += waited
        return {"waited_ns": waited}


def _endpoint(path: str) -> tuple[str, str]:
    """Return the endpoint a path belongs to, and the id at its end."""
    if path.startswith("/api/orders/"):
        return "/api/orders/{id}", path.removeprefix("/api/orders/")
    return path, ""


def _has_body(fields: str) -> bool:
    return any(f"\n{name}:" in f"\n{fields}" for name in ("content-length", "transfer-encoding"))


def main() -> None:
    """Listen and serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", required=True, help="HOST:PORT, or a Unix socket's path")
    chosen = parser.parse_args()
    host, _, port = chosen.database.rpartition(":")
    app = Application((host, int(port)) if host else chosen.database)
    threading.Thread(target=app.hold_lock, name="lock-holder", daemon=True).start()
    with socket.create_server(("127.0.0.1", chosen.port), backlog=511) as listener:
        while True:
            accepted, _ = listener.accept()
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            worker = Worker(app, accepted)
            threading.Thread(target=worker.serve, daemon=True).start()


if __name__ == "__main__":
    main()
