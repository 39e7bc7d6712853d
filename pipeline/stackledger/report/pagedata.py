"""What the report shows of a capture as a whole, aggregated in SQL.

Reads `requests` and `untraced_call` (made cheap by `analysis.assembly.assemble`),
`call`, `capture`, `span`, `loss` and `host_cpu`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


# The views that the page reads besides those that `assemble` makes tables of.
READS = frozenset({"span", "cache_use", "request_caller", "placed"})


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
    overhead_share: float | None  # of the host's CPU time, what recording took
    stopped: str | None  # probes that --max-overhead stopped, and when

    @property
    def window_ns(self) -> int:
        """Return how long the time range is that is shown."""
        return self.ended_ts_ns - self.started_ts_ns


@dataclass(frozen=True, slots=True)
class Bin:
    """A column of the latency histogram: `slow` of its requests are in the slow band."""

    from_ns: float
    to_ns: float
    requests: int
    slow: int


@dataclass(frozen=True, slots=True)
class LossRow:
    """One table's ledger of losses; None is what the kernel did not tell."""

    table: str
    produced: int | None
    received: int
    lost: int | None
    undecodable: int
    dropped: int = 0


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
          SELECT 1.0 - (SELECT count(*) FROM untraced_call)
            / nullif(count(*), 0)::DOUBLE AS share
          FROM call
          WHERE endpoint <> '(terminate)'
        ), host AS (
          SELECT
            1.0 - sum(idle_ns + iowait_ns)::DOUBLE / nullif(sum(
              user_ns + system_ns + iowait_ns + steal_ns + idle_ns), 0) AS cpu,
            1.0 - avg(mem_available_bytes) / nullif(avg(mem_total_bytes), 0) AS mem
          FROM host_cpu
        ), spent AS (
          SELECT sum(coalesce(bpftrace_cpu_ns, 0) + coalesce(programs_cpu_ns, 0)
              + coalesce(stackledger_cpu_ns, 0))
            / nullif(any_value(elapsed_ns * overhead.cpus), 0) AS share,
            string_agg(probe || ' after '
              || round((stopped_ts_ns - started_ts_ns) / 1e9)::BIGINT || ' s', ', '
              ORDER BY stopped_ts_ns, probe) AS stopped
          FROM overhead CROSS JOIN capture
        ), told AS (
          SELECT * FROM capture, span ORDER BY started_ts_ns, id LIMIT 1
        )
        SELECT
          coalesce(t.id, ''), coalesce(t.name, ''), coalesce(t.host, ''),
          coalesce(t.state, 'complete'),
          coalesce(nullif(t.from_ts_ns, 0), r.first_ts_ns, 0),
          coalesce(nullif(t.until_ts_ns, 0), r.last_ts_ns, 0),
          coalesce(t.cpus, 0), r.roots, r.requests, r.still_open, r.errors,
          r.p[1], r.p[2], r.p[3], l.share, h.cpu, h.mem,
          o.share, o.stopped
        FROM roots AS r CROSS JOIN linked AS l CROSS JOIN host AS h
        CROSS JOIN spent AS o
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


def losses(connection: duckdb.DuckDBPyConnection) -> list[LossRow]:
    """Return the capture's ledger of losses."""
    rows = connection.execute(
        'SELECT "table", produced, received, lost, undecodable, dropped FROM loss ORDER BY ALL'
    ).fetchall()
    return [LossRow(*row) for row in rows]
