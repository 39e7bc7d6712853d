"""What each endpoint of the lab's application does: one thing whose cost is known."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from stackledger.labs.nats import SUBJECT, Publisher
from stackledger.labs.pgwire import Connection, literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from stackledger.labs.app import Application

Answer = dict[str, object]

BUSY_NS = 10_000_000
CHECKOUT_NS = 2_000_000
SLEEP_S = 0.010
RECORD_BYTES = 4096
DOCUMENT_BYTES = 64 << 10
_RECORDS = 64

_ORDER = "SELECT id, customer, note FROM orders WHERE id = $1"
_SEARCH = "SELECT id, name FROM products WHERE name LIKE {} ORDER BY md5(name) LIMIT 5"
_PAY = "INSERT INTO payments VALUES ($1, 100)"
_LIST = "SELECT id, name, price FROM products LIMIT {}"
# Sorts what it makes: nothing but CPU time.
_REPORT = "SELECT name FROM products, generate_series(1, {}) AS n ORDER BY md5(name || n) LIMIT 5"
_COUNT = "SELECT count(*), sum(price) FROM products WHERE id % 7 = {}"


class NotFoundError(Exception):
    """No such path, or no such row."""


@dataclass
class Tally:
    """What one thread did for one endpoint; times in nanoseconds."""

    requests: int = 0
    cpu_ns: int = 0
    wall_ns: int = 0
    waited_ns: int = 0


class Endpoints:
    """The endpoints as one connection's thread serves them: its own database, its own file."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._database: Connection | None = None
        self._publisher: Publisher | None = None
        self._file: int | None = None
        self._saved = 0
        self.tallies: dict[str, Tally] = {}
        self._known: dict[str, Callable[[str, str], Answer]] = {
            "/api/orders/{id}": self._orders,
            "/api/pay/{id}": self._pay,
            "/api/save/{id}": self._save,
            "/api/checkout/{id}": self._checkout,
            "/api/document": self._document,
            "/api/blob": self._blob,
            "/api/list": self._list,
            "/api/report": self._report,
            "/api/search": self._search,
            "/api/busy": self._busy,
            "/api/sleep": self._sleep,
            "/api/lock": self._lock,
            "/api/mixed": self._mixed,
            "/health": lambda _tail, _query: {"ok": True},
            "/stats": lambda _tail, _query: app.stats(),
        }

    def tally(self, endpoint: str) -> Tally:
        """Return the tally of an endpoint; all that there are not share one."""
        known = endpoint if endpoint in self._known else "other"
        return self.tallies.setdefault(known, Tally())

    def answer(self, endpoint: str, tail: str, query: str) -> Answer:
        """Return an endpoint's answer; raises NotFoundError, or what the database says."""
        if endpoint not in self._known:
            raise NotFoundError
        return self._known[endpoint](tail, query)

    def forget(self) -> None:
        """Connect to the database and the broker anew next time."""
        self._database = self._publisher = None

    def close(self) -> None:
        """Close the thread's connections and file."""
        if self._publisher is not None:
            self._publisher.close()
        if self._database is not None:
            self._database.close()
        if self._file is not None:
            os.close(self._file)

    def _connection(self) -> Connection:
        if self._database is None:
            self._database = Connection(self._app.database, user="lab", database="postgres")
        return self._database

    def _orders(self, tail: str, _query: str) -> Answer:
        rows = self._connection().execute(_ORDER, _number(tail))
        if not rows:
            raise NotFoundError
        return {"id": tail, "customer": rows[0][1], "note_bytes": len(rows[0][2] or "")}

    def _pay(self, tail: str, _query: str) -> Answer:
        self._connection().execute(_PAY, _number(tail))
        return {"paid": tail}

    def _save(self, tail: str, _query: str) -> Answer:
        """Overwrite a record of the thread's own file, and wait until it is on the disk."""
        record = _number(tail).encode().ljust(RECORD_BYTES)
        if self._file is None:
            path = self._app.folder / f"{threading.get_native_id()}.records"
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            # Allocated for good: later writes change no metadata.
            os.pwrite(self._file, bytes(RECORD_BYTES * _RECORDS), 0)
            os.fsync(self._file)
        self._saved = (self._saved + 1) % _RECORDS
        os.pwrite(self._file, record, self._saved * RECORD_BYTES)
        os.fdatasync(self._file)
        return {"saved": tail}

    def _checkout(self, tail: str, _query: str) -> Answer:
        """Read an order, compute, take the money, tell the others."""
        order = self._orders(tail, "")
        begun = time.thread_time_ns()
        while time.thread_time_ns() - begun < CHECKOUT_NS:
            pass
        self._pay(tail, "")
        if self._publisher is None:
            self._publisher = Publisher(self._app.broker)
        told = self._publisher.ask(SUBJECT, json.dumps(order).encode())
        return {"order": order, "told": json.loads(told)["seq"]}

    def _document(self, _tail: str, query: str) -> Answer:
        """Read the document, so many bytes at a time."""
        chunk = _count(query, "chunk", DOCUMENT_BYTES)
        descriptor = os.open(self._app.document, os.O_RDONLY)
        size = 0
        try:
            while piece := os.read(descriptor, chunk):
                size += len(piece)
        finally:
            os.close(descriptor)
        return {"bytes": size}

    def _blob(self, _tail: str, query: str) -> Answer:
        """Answer with so many kibibytes."""
        return {"blob": "x" * (_count(query, "kib", 1024) << 10)}

    def _list(self, _tail: str, query: str) -> Answer:
        rows = self._connection().query(_LIST.format(_count(query, "rows", 5000)))
        return {"products": len(rows)}

    def _report(self, _tail: str, query: str) -> Answer:
        rows = self._connection().query(_REPORT.format(_count(query, "times", 100)))
        return {"first": [name for (name,) in rows]}

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
        self.tallies["/api/sleep"].waited_ns += waited
        return {"slept_ns": waited}

    def _lock(self, _tail: str, _query: str) -> Answer:
        self._app.wanted_s = time.monotonic()
        begun = time.monotonic_ns()
        with self._app.contended:
            waited = time.monotonic_ns() - begun
        self.tallies["/api/lock"].waited_ns += waited
        return {"waited_ns": waited}


def split(path: str) -> tuple[str, str]:
    """Return the endpoint a path belongs to, and the id at its end."""
    for prefix in ("/api/orders/", "/api/pay/", "/api/save/", "/api/checkout/"):
        if path.startswith(prefix):
            return f"{prefix}{{id}}", path.removeprefix(prefix)
    return path, ""


def _count(query: str, name: str, most: int) -> int:
    """Return a number in a query string, 1 to `most`; raises NotFoundError for any other."""
    text = parse_qs(query).get(name, [""])[0]
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise NotFoundError
    return int(text)


def _number(tail: str) -> str:
    """Return an id that the database takes; raises NotFoundError for any other."""
    if not (tail.isascii() and tail.isdigit() and len(tail) < 10):
        raise NotFoundError
    return tail
