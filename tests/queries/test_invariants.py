"""Generated transactions, nested and parallel: what must sum, sums, and what is known is found."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from stackledger.analysis.assembly import assemble
from stackledger.analysis.attribution import attribute
from stackledger.analysis.queries import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb

MEASURED = ("cpu", "runq", "disk", "lock", "sleep", "other")
TABLES = ("connection", "request", "call")

short = some.integers(0, 2_000)
long = some.integers(0, 5_000_000)


@dataclass(frozen=True)
class Work:
    """The thread does something of one kind, or something nobody measures."""

    kind: str
    dur_ns: int


@dataclass(frozen=True)
class Call:
    """A call and what it becomes: `callee` None is a server that is not traced."""

    there_ns: int
    callee: Served | None
    back_ns: int
    unix: bool


@dataclass(frozen=True)
class Calls:
    """Calls sent in turn, `between_ns` of CPU apart; then some work; then all are read."""

    calls: list[Call]
    between_ns: int
    meanwhile_ns: int


@dataclass(frozen=True)
class Served:
    """A request: how long it lay unread, and the steps of its thread."""

    queue_ns: int
    steps: list[Work | Calls]


work = some.builds(Work, some.sampled_from([*MEASURED, "gap"]), long)
leaf = some.builds(Served, short, some.lists(work, max_size=3))


def _parents(children: some.SearchStrategy[Served]) -> some.SearchStrategy[Served]:
    call = some.builds(Call, short, some.none() | children, short, some.booleans())
    calls = some.builds(Calls, some.lists(call, min_size=1, max_size=3), short, short | long)
    return some.builds(Served, short, some.lists(work | calls, max_size=3))


transactions = some.recursive(leaf, _parents, max_leaves=8)


@dataclass
class Probe:
    """Writes down what the probe would: rows, and for each request the time nobody measured."""

    rows: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {table: [] for table in TABLES}
    )
    gaps: dict[int, int] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def connection(self, *, unix: bool, traced: bool) -> tuple[int, int]:
        """Return the sockets at both ends of a new connection."""
        client, server = next(self.numbers), next(self.numbers)
        common = {"family": 1 if unix else 2, "ts_ns": 1, "pid": 1, "comm": "app"}
        address = {} if unix else {"local_addr": "127.0.0.1", "remote_addr": "127.0.0.1"}
        ends = [(client, server, False, client, 9000)]
        if traced:
            ends.append((server, client, True, 9000, client))
        for sock, peer, accepted, local, remote in ends:
            ports = {} if unix else {"local_port": local, "remote_port": remote}
            row = {"sock": sock, "accepted": accepted, "peer_sock": peer if unix else 0}
            self.rows["connection"].append({**common, **address, **ports, **row})
        return client, server

    def serve(self, served: Served, sock: int, start_ns: int) -> int:
        """Write a request that arrives at `start_ns`; return when it ends."""
        received = now = start_ns + served.queue_ns
        spent = dict.fromkeys((*MEASURED, "gap", "covered"), 0)
        calls = 0
        for step in served.steps:
            if isinstance(step, Work):
                spent[step.kind] += step.dur_ns
                now += step.dur_ns
            else:
                calls += len(step.calls)
                now = self._call(step, sock, received, now, spent)
        self.gaps[sock] = spent["gap"]
        row = {f"{kind}_ns": spent[kind] for kind in (*MEASURED, "covered")}
        row |= {"sock": sock, "conn_ts_ns": 1, "ts_ns": start_ns, "recv_ts_ns": received}
        row |= {"pid": 1, "wall_ns": now - start_ns, "calls": calls, "endpoint": f"GET /{sock % 3}"}
        self.rows["request"].append(row)
        return now

    def _call(self, step: Calls, owner: int, received: int, now: int, spent: dict[str, int]) -> int:
        answered = []
        for number, call in enumerate(step.calls):
            now += step.between_ns if number else 0
            client, server = self.connection(unix=call.unix, traced=call.callee is not None)
            arrived = now + call.there_ns
            ended = self.serve(call.callee, server, arrived) if call.callee else arrived
            answered.append((client, now, ended + call.back_ns))
        now += step.meanwhile_ns
        spent["cpu"] += step.between_ns * (len(step.calls) - 1) + step.meanwhile_ns
        for client, sent, came in answered:
            row = {"ts_ns": sent, "sock": client, "conn_ts_ns": 1, "pid": 1, "busy_ns": now - sent}
            row |= {"owner_sock": owner, "owner_recv_ts_ns": received}
            self.rows["call"].append({**row, "wall_ns": max(came, now) - sent})
        last = max(now, *(came for *_, came in answered))
        spent["covered"] += last - now
        return last


@pytest.fixture(scope="module")
def filled(capture: Callable[..., duckdb.DuckDBPyConnection]) -> Callable[..., Any]:
    """Give a function that replaces the content of one connection."""
    connection = capture(assembled=False)

    def replaced(rows: dict[str, list[dict[str, Any]]]) -> duckdb.DuckDBPyConnection:
        for table in TABLES:
            connection.execute(f'DELETE FROM "{table}"')
        _refill(connection, rows)
        assemble(connection)
        return connection

    return replaced


def _refill(connection: duckdb.DuckDBPyConnection, rows: dict[str, list[dict[str, Any]]]) -> None:
    for table, of_table in rows.items():
        described = connection.execute(f'DESCRIBE "{table}"').fetchall()
        nothing = {"VARCHAR": "", "BOOLEAN": table == "call", "BLOB": None}
        values = [
            [
                row.get(name, True if name == "complete" else nothing.get(kind, 0))
                for name, kind, *_ in described
            ]
            for row in of_table
        ]
        if values:
            holes = ", ".join(["?"] * len(described))
            connection.executemany(f'INSERT INTO "{table}" VALUES ({holes})', values)


def _recorded(roots: list[Served]) -> Probe:
    probe = Probe()
    for number, root in enumerate(roots):
        sock = next(probe.numbers)
        probe.rows["connection"].append(
            {"sock": sock, "accepted": True, "family": 2, "ts_ns": 1, "pid": 1, "comm": "app"}
            | {"local_addr": "10.0.0.1", "local_port": 80, "remote_addr": "10.0.0.2"}
            | {"remote_port": sock}
        )
        probe.serve(root, sock, 1_000_000 + 7_000_000_000 * number)
    return probe


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(roots=some.lists(transactions, min_size=1, max_size=12))
def test_parts_and_trees_sum(filled, roots):
    probe = _recorded(roots)
    connection = filled(probe.rows)
    requests = connection.execute(
        """
        SELECT sock, wall_ns, cpu_ns, runq_ns, disk_ns, lock_ns, sleep_ns, other_ns,
          queue_ns, net_ns, downstream_ns, unexplained_ns
        FROM requests
        """
    ).fetchall()
    assert len(requests) == len(probe.rows["request"])
    measured = {row["sock"]: row for row in probe.rows["request"]}
    for sock, wall_ns, *parts in requests:
        assert sum(parts) == wall_ns
        assert min(parts[:-1]) >= 0
        # Rounding apart, what nobody measured is all that is unexplained.
        assert abs(parts[-1] - probe.gaps[sock]) <= 2
        for kind, part_ns in zip(MEASURED, parts, strict=False):
            assert part_ns == measured[sock][f"{kind}_ns"]
    assert connection.execute("SELECT count(*) FROM tree").fetchone() == (len(requests),)
    for wall_ns, below_ns, members in connection.execute(
        """
        WITH below AS (
          SELECT t.root_sock, t.critical_share * (r.wall_ns - r.downstream_ns) AS part_ns
          FROM tree AS t JOIN requests AS r USING (sock, recv_ts_ns)
          UNION ALL
          SELECT t.root_sock, t.critical_share * u.wait_ns
          FROM tree AS t JOIN untraced AS u ON u.parent_sock = t.sock
        )
        SELECT r.wall_ns, sum(part_ns), count(*)
        FROM below JOIN requests AS r ON r.sock = below.root_sock GROUP BY r.sock, r.wall_ns
        """
    ).fetchall():
        assert abs(wall_ns - below_ns) <= 2 * members
    attribution = attribute(connection)
    for band in (attribution.slow, attribution.median):
        assert abs(sum(line.own_ns for line in band.lines) - band.wall_ns) <= 2 * len(requests)
    ledger = run(connection, "ledger")
    sums = [dict(zip(ledger.columns, row, strict=True)) for row in ledger.rows]
    for line in sums:
        parts = [value for name, value in line.items() if name.endswith("_ns")]
        assert sum(parts) == 2 * line["wall_ns"]


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    roots=some.lists(transactions, min_size=3, max_size=12),
    extra=some.lists(some.integers(0, 20_000_000), min_size=3, max_size=60),
)
def test_threads_side_by_side_do_not_exceed_the_wall_time(filled, roots, extra):
    """Several threads of one request can be on CPUs at once: their time is scaled to fit."""
    probe = _recorded(roots)
    for row, more in zip(probe.rows["request"], extra, strict=False):
        row["cpu_ns"] += more
        row["runq_ns"] += more // 2
    connection = filled(probe.rows)
    for wall_ns, *parts in connection.execute(
        """
        SELECT wall_ns, cpu_ns, runq_ns, disk_ns, lock_ns, sleep_ns, other_ns, queue_ns,
          net_ns, downstream_ns, unexplained_ns
        FROM requests
        """
    ).fetchall():
        assert sum(parts) == wall_ns
        assert min(parts) >= 0
