"""The load generator's loop: what to send, when, and on which connection."""

from __future__ import annotations

import ipaddress
import itertools
import random
import re
import select
import time
from array import array
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stackledger.errors import StackledgerError, UsageError
from stackledger.labs.client import ANSWER_LIMIT_S, Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_LATE_NS = 1_000_000
_MAX_RANGE = 5_000_000
_MAX_FAILURES_IN_A_ROW = 100
_PATH = re.compile(r"(?:(?P<weight>\d+(?:\.\d+)?):)?(?P<path>/[!-~]*)")
_RANGE = re.compile(r"\{(\d+)-(\d+)\}")


@dataclass(frozen=True)
class Target:
    """An endpoint to send to: its name, its weight, and its next path each time it is asked."""

    endpoint: str
    weight: float
    next_path: Callable[[], str]


@dataclass(frozen=True)
class Plan:
    """What to send where; ends at `requests` or after `duration_s`, whichever is first."""

    address: tuple[str, int]
    targets: Sequence[Target]
    connections: int
    rate_hz: float | None
    duration_s: float
    requests: int
    seed: int


@dataclass
class Answers:
    """One endpoint's requests: latencies of the answered ones, and how many failed.

    `arrivals_ns` sums the times until the kernel had the answer.
    """

    latencies_ns: array[int] = field(default_factory=lambda: array("q"))
    arrivals_ns: int = 0
    requests: int = 0
    errors: int = 0
    bytes: int = 0


@dataclass
class Outcome:
    """Everything that came back, by endpoint; `late` sends were over 1 ms behind their time."""

    answers: dict[str, Answers]
    elapsed_ns: int = 0
    late: int = 0


def loopback(url: str) -> tuple[str, int]:
    """Return host and port of a URL; raises unless it is http on a loopback address."""
    try:
        parts = urlsplit(url)
        host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
        if parts.scheme == "http" and ipaddress.ip_address(host).is_loopback:
            return host, parts.port or 80
    except ValueError:
        pass
    raise UsageError("the load goes to loopback only", url, hint="give http://127.0.0.1:PORT")


def targets(paths: Sequence[str], seed: int) -> list[Target]:
    """Return the targets of texts such as `/health` and `3:/api/orders/{1-500}`."""
    found = [_target(text, _chance(f"{seed} {text}")) for text in paths]
    if not any(target.weight for target in found):
        raise UsageError("the load has no path", hint="give --path /health")
    return found


def _target(text: str, chance: random.Random) -> Target:
    parsed = _PATH.fullmatch(text)
    ranges = _RANGE.findall(text)
    if parsed is None or len(ranges) > 1:
        raise UsageError("not a path", text, hint="WEIGHT:/path with at most one {LOW-HIGH}")
    path = parsed["path"]
    endpoint = _RANGE.sub("{id}", path.partition("?")[0])
    weight = float(parsed["weight"] or 1)
    if not ranges:
        return Target(endpoint, weight, lambda: path)
    low, high = map(int, ranges[0])
    if not low <= high < low + _MAX_RANGE:
        raise UsageError("not a range of numbers", text)
    # Every number once before any comes again: a row that was read a moment
    # ago is in the page cache, and not read from the disk.
    numbers = list(range(low, high + 1))
    chance.shuffle(numbers)
    order = itertools.cycle(numbers)
    return Target(endpoint, weight, lambda: _RANGE.sub(str(next(order)), path))


def drive(plan: Plan) -> Outcome:
    """Send the plan's requests, wait for the last answer, and return what came back."""
    connections: list[Connection] = []
    try:
        connections.extend(Connection(plan.address) for _ in range(plan.connections))
        return _Drive(plan, connections).run()
    except OSError as failure:
        host, port = plan.address
        reason = failure.strerror or failure
        raise StackledgerError("cannot connect", f"{host}:{port}: {reason}") from failure
    finally:
        for connection in connections:
            connection.close()


class _Drive:
    """The state of one run: which connections wait for an answer, and to what."""

    def __init__(self, plan: Plan, connections: list[Connection]) -> None:
        self._plan = plan
        self._host = f"{plan.address[0]}:{plan.address[1]}"
        self._idle = deque(connections)
        self._busy: dict[Connection, Answers] = {}
        self._sent = 0
        self._failures = 0
        self._outcome = Outcome({target.endpoint: Answers() for target in plan.targets})

    def run(self) -> Outcome:
        plan = self._plan
        gap_ns = 1e9 / plan.rate_hz if plan.rate_hz else 0.0
        chosen = _choices(plan)
        begun_ns = time.monotonic_ns()
        while True:
            now_ns = time.monotonic_ns()
            due_ns = begun_ns + int(self._sent * gap_ns)
            over = self._sent >= plan.requests or now_ns - begun_ns >= plan.duration_s * 1e9
            if over and not self._busy:
                break
            if not over and self._idle and due_ns <= now_ns:
                self._outcome.late += gap_ns > 0 and now_ns - due_ns > _LATE_NS
                self._send(next(chosen))
                # In a closed loop every free connection sends before any is read.
                if self._idle and (gap_ns == 0 or due_ns + gap_ns <= now_ns):
                    continue
                due_ns = begun_ns + int(self._sent * gap_ns)
            waiting = not over and bool(self._idle)
            self._take(max(0, due_ns - time.monotonic_ns()) / 1e9 if waiting else 1.0)
        self._outcome.elapsed_ns = time.monotonic_ns() - begun_ns
        return self._outcome

    def _send(self, target: Target) -> None:
        connection = self._idle.popleft()
        request = f"GET {target.next_path()} HTTP/1.1\r\nHost: {self._host}\r\n\r\n"
        self._sent += 1
        self._busy[connection] = self._outcome.answers[target.endpoint]
        try:
            connection.send(request.encode())
        except OSError as failure:
            self._failed(connection, failure)

    def _take(self, wait_s: float) -> None:
        """Read from the connections that have something, waiting for it if need be."""
        ready, _, _ = select.select(self._busy, (), (), min(wait_s, 1.0))
        for connection in ready:
            try:
                if connection.receive():
                    self._answered(connection)
            except OSError as failure:
                self._failed(connection, failure)
        if not ready:
            limit_ns = time.monotonic_ns() - int(ANSWER_LIMIT_S * 1e9)
            for connection in [one for one in self._busy if one.sent_ns < limit_ns]:
                self._failed(connection, TimeoutError("no answer"))

    def _answered(self, connection: Connection) -> None:
        answers = self._busy.pop(connection)
        answers.requests += 1
        answers.bytes += connection.size_bytes
        answers.errors += connection.status >= 400
        answers.latencies_ns.append(connection.latency_ns)
        answers.arrivals_ns += connection.arrival_ns
        self._failures = 0
        self._idle.append(connection)

    def _failed(self, connection: Connection, failure: OSError) -> None:
        answers = self._busy.pop(connection)
        answers.requests += 1
        answers.errors += 1
        self._failures += 1
        if self._failures > _MAX_FAILURES_IN_A_ROW:
            raise failure
        connection.reconnect()
        self._idle.append(connection)


def _choices(plan: Plan) -> Iterator[Target]:
    """Yield targets by their weights, in the same order for the same seed."""
    chance = _chance(str(plan.seed))
    weights = [target.weight for target in plan.targets]
    while True:
        yield from chance.choices(plan.targets, weights, k=1000)


def _chance(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - repeatable on purpose
