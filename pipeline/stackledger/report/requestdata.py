"""What the report shows of requests, aggregated in SQL: no row per request leaves DuckDB.

Reads `requests`, `tree` and `untraced`, which `analysis.assembly.assemble` makes
cheap. Every order is total, so that the same capture gives the same page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

SLOWEST = 10
SPANS_EACH = 14
ENDPOINTS = 25
SERVICES = 40
_PARTS = [
    "cpu",
    "runq",
    "disk",
    "lock",
    "sleep",
    "queue",
    "net",
    "downstream",
    "other",
    "unexplained",
]


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """One root endpoint; latencies are of answered ones, `cpu_ns` sums all layers below."""

    endpoint: str
    requests: int
    mean_ns: float | None
    p50_ns: float | None
    p95_ns: float | None
    p99_ns: float | None
    cpu_ns: float
    disk_share: float | None
    errors: int


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """Who calls whom; `caller` is None for clients that were not traced."""

    caller: str | None
    callee: str
    traced: bool
    calls: int
    mean_ns: float
    errors: int | None


@dataclass(frozen=True, slots=True)
class Span:
    """One request below a slow root; `offset_ns` counts from the root's start."""

    layer: str
    service: str
    endpoint: str
    depth: int
    offset_ns: int
    wall_ns: int
    parts: dict[str, int]
    complete: bool
    error: bool


@dataclass(frozen=True, slots=True)
class Slow:
    """One slow transaction: its longest spans in order of time, the rest counted."""

    endpoint: str
    ts_ns: int
    wall_ns: int
    complete: bool
    error: bool
    spans: list[Span]
    left_out: int


def endpoints(connection: duckdb.DuckDBPyConnection) -> tuple[list[EndpointRow], int]:
    """Return the root endpoints that took most time, and how many there are in all."""
    rows = connection.execute(
        """
        WITH roots AS (
          SELECT sock, recv_ts_ns, endpoint
          FROM requests
          WHERE parent_sock IS NULL
        ), spent AS (
          SELECT
            o.endpoint,
            sum(r.cpu_spent_ns) AS cpu_ns,
            sum(t.critical_share * r.disk_ns) AS disk_ns
          FROM tree AS t
          JOIN requests AS r USING (sock, recv_ts_ns)
          JOIN roots AS o
            ON o.sock = t.root_sock AND o.recv_ts_ns = t.root_recv_ts_ns
          GROUP BY o.endpoint
        ), timed AS (
          SELECT
            endpoint,
            count(*) AS requests,
            avg(wall_ns) FILTER (complete) AS mean_ns,
            quantile_cont(wall_ns, [0.5, 0.95, 0.99]) FILTER (complete) AS p,
            sum(wall_ns) AS wall_ns,
            count(*) FILTER (error) AS errors
          FROM requests
          WHERE parent_sock IS NULL
          GROUP BY endpoint
        )
        SELECT
          endpoint, t.requests, t.mean_ns, t.p[1], t.p[2], t.p[3],
          s.cpu_ns, s.disk_ns / nullif(t.wall_ns, 0), t.errors,
          count(*) OVER ()
        FROM timed AS t JOIN spent AS s USING (endpoint)
        ORDER BY t.wall_ns DESC, endpoint
        LIMIT $most
        """,
        {"most": ENDPOINTS},
    ).fetchall()
    return [EndpointRow(*row[:-1]) for row in rows], rows[0][-1] if rows else 0


def services(connection: duckdb.DuckDBPyConnection) -> list[ServiceRow]:
    """Return caller, callee and what went between them, the busiest first."""
    rows = connection.execute(
        """
        WITH traced AS (
          SELECT p.service AS caller, r.service AS callee, true AS traced,
            count(*) AS calls, avg(r.wall_ns) AS mean_ns,
            count(*) FILTER (r.error) AS errors
          FROM requests AS r
          JOIN requests AS p
            ON p.sock = r.parent_sock AND p.recv_ts_ns = r.parent_recv_ts_ns
          GROUP BY ALL
        ), entered AS (
          SELECT NULL AS caller, service AS callee, true AS traced,
            count(*) AS calls, avg(wall_ns) AS mean_ns,
            count(*) FILTER (error) AS errors
          FROM requests
          WHERE parent_sock IS NULL
          GROUP BY service
        ), elsewhere AS (
          SELECT p.service AS caller, u.service AS callee, false AS traced,
            count(*) AS calls, avg(u.wait_ns) AS mean_ns, NULL AS errors
          FROM untraced AS u
          JOIN requests AS p
            ON p.sock = u.parent_sock AND p.recv_ts_ns = u.parent_recv_ts_ns
          GROUP BY ALL
        )
        FROM entered UNION ALL FROM traced UNION ALL FROM elsewhere
        ORDER BY calls * mean_ns DESC, caller NULLS FIRST, callee, traced
        LIMIT $most
        """,
        {"most": SERVICES},
    ).fetchall()
    return [ServiceRow(*row) for row in rows]


def slowest(connection: duckdb.DuckDBPyConnection, endpoint: str | None) -> list[Slow]:
    """Return the slowest transactions, those still open included, each with its spans."""
    rows = connection.execute(
        """
        WITH roots AS (
          SELECT
            *, row_number() OVER (ORDER BY wall_ns DESC, ts_ns, sock) AS place
          FROM (
            FROM requests
            WHERE parent_sock IS NULL
              AND ($endpoint IS NULL OR endpoint = $endpoint)
            ORDER BY wall_ns DESC, ts_ns, sock
            LIMIT $roots
          )
        ), spans AS (
          SELECT o.place, t.depth, r.*
          FROM roots AS o
          JOIN tree AS t
            ON t.root_sock = o.sock AND t.root_recv_ts_ns = o.recv_ts_ns
          JOIN requests AS r
            ON r.sock = t.sock AND r.recv_ts_ns = t.recv_ts_ns
        ), all_spans AS (
          SELECT place, layer, service, endpoint, depth, ts_ns, wall_ns, sock,
            complete, error, cpu_ns, runq_ns, disk_ns, lock_ns, sleep_ns, queue_ns,
            net_ns, downstream_ns, other_ns, unexplained_ns
          FROM spans
          UNION ALL BY NAME
          SELECT s.place, u.layer, u.service, u.endpoint, s.depth + 1 AS depth,
            u.ts_ns, u.wait_ns AS wall_ns, 0 AS sock, true AS complete,
            false AS error
          FROM untraced AS u
          JOIN spans AS s
            ON u.parent_sock = s.sock AND u.parent_recv_ts_ns = s.recv_ts_ns
        ), ranked AS (
          SELECT
            *,
            row_number() OVER (
              PARTITION BY place
              ORDER BY depth > 0, wall_ns DESC, ts_ns, depth, service, sock
            ) AS rank,
            count(*) OVER (PARTITION BY place) AS spans
          FROM all_spans
        )
        SELECT place, spans, layer, coalesce(service, ''), endpoint, depth, ts_ns,
          wall_ns, complete, error, cpu_ns, runq_ns, disk_ns, lock_ns, sleep_ns,
          queue_ns, net_ns, downstream_ns, other_ns, unexplained_ns
        FROM ranked
        WHERE rank <= $spans
        ORDER BY place, depth > 0, ts_ns, depth, service, sock, rank
        """,
        {"endpoint": endpoint, "roots": SLOWEST, "spans": SPANS_EACH},
    ).fetchall()
    found: list[Slow] = []
    at = 0
    for place, spans, layer, service, path, depth, ts_ns, wall_ns, complete, error, *parts in rows:
        if place != at:
            at = place
            left_out = max(0, spans - SPANS_EACH)
            found.append(Slow(path, ts_ns, wall_ns, complete, error, [], left_out))
        named = {part: ns for part, ns in zip(_PARTS, parts, strict=True) if ns is not None}
        offset_ns = ts_ns - found[-1].ts_ns
        # A call to a server that was not traced has no parts: it is one.
        split = named or {"untraced": wall_ns}
        found[-1].spans.append(
            Span(layer, service, path, depth, offset_ns, wall_ns, split, complete, error)
        )
    return found
