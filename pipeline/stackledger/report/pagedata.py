"""What the report shows of requests, aggregated in SQL: no row per request leaves DuckDB.

Reads `requests`, `tree`, `untraced` (made cheap by `analysis.assembly.assemble`),
`capture`, `loss` and `host_cpu`. Every order is total, so that the same capture
gives the same page.
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
_PARTS = ["cpu", "runq", "disk", "lock", "sleep", "queue", "net", "downstream", "other", "unexplained"]


@dataclass(frozen=True, slots=True)
class Overview:
    """The capture in one row; durations in ns, `linked_share` of the calls made."""

    id: str
    name: str
    host: str
    state: str
    started_ts_ns: int
    ended_ts_ns: int
    cpus: int
    roots: int
    requests: int
    still_open: int
    errors: int
    p50_ns: float | None
    p95_ns: float | None
    p99_ns: float | None
    linked_share: float | None
    cpu_share: float | None
    memory_share: float | None

    @property
    def window_ns(self) -> int:
        """Return how long the capture took."""
        return self.ended_ts_ns - self.started_ts_ns


@dataclass(frozen=True, slots=True)
class Bin:
    """A column of the latency histogram: `slow` of its requests are in the slow band."""

    from_ns: float
    to_ns: float
    requests: int
    slow: int


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """One root endpoint; `cpu_ns` is the sum over all layers below it."""

    endpoint: str
    requests: int
    mean_ns: float
    p50_ns: float
    p95_ns: float
    p99_ns: float
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


@dataclass(frozen=True, slots=True)
class LossRow:
    """One table's ledger of losses; `produced` is None where the kernel did not tell."""

    table: str
    produced: int | None
    received: int
    lost: int
    undecodable: int


def overview(connection: duckdb.DuckDBPyConnection) -> Overview:
    """Return the capture's key figures; latencies are those of complete roots."""
    row = connection.execute(
        """
        WITH roots AS (
          SELECT
            count(*) AS requests,
            count(*) FILTER (parent_sock IS NULL) AS roots,
            count(*) FILTER (parent_sock IS NULL AND NOT complete) AS still_open,
            count(*) FILTER (parent_sock IS NULL AND error) AS errors,
            quantile_cont(wall_ns, [0.5, 0.95, 0.99])
              FILTER (parent_sock IS NULL AND complete) AS p,
            min(ts_ns) AS first_ts_ns,
            max(ts_ns + wall_ns) AS last_ts_ns
          FROM requests
        ), linked AS (
          SELECT 1.0 - count(*) FILTER (grade = 'untraced')::DOUBLE
            / nullif(count(*), 0) AS share
          FROM calls
        ), host AS (
          SELECT
            1.0 - sum(idle_ns + iowait_ns)::DOUBLE / nullif(sum(
              user_ns + system_ns + iowait_ns + steal_ns + idle_ns), 0) AS cpu,
            1.0 - avg(mem_available_bytes) / nullif(avg(mem_total_bytes), 0) AS mem
          FROM host_cpu
        ), told AS (
          SELECT * FROM capture ORDER BY started_ts_ns, id LIMIT 1
        )
        SELECT
          coalesce(t.id, ''), coalesce(t.name, ''), coalesce(t.host, ''),
          coalesce(t.state, 'complete'),
          coalesce(nullif(t.started_ts_ns, 0), r.first_ts_ns, 0),
          coalesce(nullif(t.ended_ts_ns, 0), r.last_ts_ns, 0),
          coalesce(t.cpus, 0), r.roots, r.requests, r.still_open, r.errors,
          r.p[1], r.p[2], r.p[3], l.share, h.cpu, h.mem
        FROM roots AS r CROSS JOIN linked AS l CROSS JOIN host AS h
        LEFT JOIN told AS t ON true
        """
    ).fetchone()
    assert row is not None
    return Overview(*row)


def histogram(
    connection: duckdb.DuckDBPyConnection, endpoint: str | None, band_ns: tuple[int, int]
) -> list[Bin]:
    """Return complete roots by latency on a log scale, empty bins included: 20-60 of them."""
    rows = connection.execute(
        """
        WITH roots AS (
          SELECT log10(greatest(wall_ns, 1)) AS x, wall_ns
          FROM requests
          WHERE parent_sock IS NULL AND complete
            AND ($endpoint IS NULL OR endpoint = $endpoint)
        ), scale AS (
          SELECT CASE
            WHEN max(x) - min(x) > 2.4 THEN 12
            WHEN max(x) - min(x) > 1.2 THEN 24
            WHEN max(x) - min(x) > 0.6 THEN 48
            ELSE 96
          END AS per_decade
          FROM roots
        ), binned AS (
          SELECT
            floor(x * per_decade)::BIGINT AS bin,
            per_decade,
            count(*) AS requests,
            count(*) FILTER (wall_ns BETWEEN $low AND $high) AS slow
          FROM roots CROSS JOIN scale
          GROUP BY ALL
        ), all_bins AS (
          SELECT
            unnest(range(min(bin), max(bin) + 1)) AS bin,
            any_value(per_decade) AS per_decade
          FROM binned
        )
        SELECT
          10.0 ** (a.bin::DOUBLE / a.per_decade),
          10.0 ** ((a.bin + 1)::DOUBLE / a.per_decade),
          coalesce(b.requests, 0),
          coalesce(b.slow, 0)
        FROM all_bins AS a LEFT JOIN binned AS b USING (bin)
        ORDER BY a.bin
        """,
        {"endpoint": endpoint, "low": band_ns[0], "high": band_ns[1]},
    ).fetchall()
    return [Bin(*row) for row in rows]


def percentiles(
    connection: duckdb.DuckDBPyConnection, endpoint: str | None
) -> tuple[float, float, float] | None:
    """Return p50, p95 and p99 of the complete roots of one endpoint, or of all."""
    row = connection.execute(
        """
        SELECT quantile_cont(wall_ns, [0.5, 0.95, 0.99])
        FROM requests
        WHERE parent_sock IS NULL AND complete
          AND ($endpoint IS NULL OR endpoint = $endpoint)
        """,
        {"endpoint": endpoint},
    ).fetchone()
    if row is None or row[0] is None:
        return None
    return (row[0][0], row[0][1], row[0][2])


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
            avg(wall_ns) AS mean_ns,
            quantile_cont(wall_ns, [0.5, 0.95, 0.99]) AS p,
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
    shown = ", ".join(f"{part}_ns" for part in _PARTS)
    rows = connection.execute(
        f"""
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
            complete, error, {shown}
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
          wall_ns, complete, error, {shown}
        FROM ranked
        WHERE rank <= $spans
        ORDER BY place, depth > 0, ts_ns, depth, service, sock, rank
        """,
        {"endpoint": endpoint, "roots": SLOWEST, "spans": SPANS_EACH},
    ).fetchall()
    found: list[Slow] = []
    at = 0
    for place, spans, layer, service, endpoint_, depth, ts_ns, wall_ns, *more in rows:
        complete, error, *parts = more
        if place != at:
            found.append(Slow(endpoint_, ts_ns, wall_ns, complete, error, [], spans))
            at = place
        named = {part: ns for part, ns in zip(_PARTS, parts, strict=True) if ns is not None}
        if not named:
            named = {"untraced": wall_ns}
        offset_ns = ts_ns - found[-1].ts_ns
        found[-1].spans.append(
            Span(layer, service, endpoint_, depth, offset_ns, wall_ns, named, complete, error)
        )
    return [
        Slow(one.endpoint, one.ts_ns, one.wall_ns, one.complete, one.error, one.spans,
             one.left_out - len(one.spans))
        for one in found
    ]


def losses(connection: duckdb.DuckDBPyConnection) -> list[LossRow]:
    """Return the capture's ledger of losses."""
    rows = connection.execute(
        'SELECT "table", produced, received, lost, undecodable FROM loss ORDER BY ALL'
    ).fetchall()
    return [LossRow(*row) for row in rows]
