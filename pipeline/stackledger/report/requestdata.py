"""What the report shows of requests, aggregated in SQL: no row per request leaves DuckDB.

Reads `requests`, `tree` and `untraced`, which `analysis.assembly.assemble` makes
cheap. Every order is total, so that the same capture gives the same page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

ENDPOINTS = 25
SERVICES = 40


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
class ServiceTime:
    """One traced service: `own_ns` is the mean of its requests less their calls and the network."""

    layer: str
    requests: int
    own_ns: float


def endpoints(connection: duckdb.DuckDBPyConnection) -> tuple[list[EndpointRow], int]:
    """Return the root endpoints that took most time, and how many there are in all."""
    rows = connection.execute(
        """
        WITH spent AS (
          SELECT
            root_endpoint AS endpoint,
            sum(cpu_spent_ns) AS cpu_ns,
            sum(critical_share * disk_ns) AS disk_ns
          FROM placed
          GROUP BY root_endpoint
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
          SELECT caller, service AS callee, true AS traced,
            count(*) AS calls, avg(wall_ns) AS mean_ns,
            count(*) FILTER (error) AS errors
          FROM request_caller
          GROUP BY caller, service, parent_sock IS NULL
        ), elsewhere AS (
          SELECT p.service AS caller, u.service AS callee, false AS traced,
            count(*) AS calls, avg(u.wait_ns) AS mean_ns, NULL AS errors
          FROM untraced AS u
          JOIN requests AS p
            ON p.sock = u.parent_sock AND p.recv_ts_ns = u.parent_recv_ts_ns
          GROUP BY ALL
        )
        FROM traced UNION ALL FROM elsewhere
        ORDER BY calls * mean_ns DESC, caller NULLS FIRST, callee, traced
        LIMIT $most
        """,
        {"most": SERVICES},
    ).fetchall()
    return [ServiceRow(*row) for row in rows]


def service_times(connection: duckdb.DuckDBPyConnection) -> dict[str, ServiceTime]:
    """Return what each traced service took itself."""
    rows = connection.execute(
        """
        SELECT service, min(layer), count(*), avg(wall_ns - downstream_ns - net_ns)
        FROM requests
        WHERE service IS NOT NULL
        GROUP BY service
        ORDER BY service
        """
    ).fetchall()
    return {service: ServiceTime(*rest) for service, *rest in rows}
