"""What the host's counters say over time, second by second or as means of longer intervals.

Reads `host_cpu`, `host_net` and `cache_use`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from stackledger.report.timedata import Grid


@dataclass(frozen=True, slots=True)
class Sample:
    """Two values of the host around `offset_ns`; None is what was not counted."""

    offset_ns: int
    first: float | None
    second: float | None


def host(connection: duckdb.DuckDBPyConnection, axis: Grid) -> list[Sample]:
    """Return shares of the host's CPU time and memory in use, as a dashboard has them."""
    return _sampled(
        connection,
        axis,
        """
        SELECT ts_ns, interval_ns,
          1 - (idle_ns + iowait_ns) / nullif(
            user_ns + system_ns + iowait_ns + steal_ns + idle_ns, 0) AS first,
          1 - mem_available_bytes / nullif(mem_total_bytes, 0) AS second
        FROM host_cpu
        """,
    )


def network(connection: duckdb.DuckDBPyConnection, axis: Grid) -> list[Sample]:
    """Return bytes per second, sent and received: of all interfaces but lo, and through lo."""
    return _sampled(
        connection,
        axis,
        """
        SELECT ts_ns, any_value(interval_ns) AS interval_ns,
          sum((recv_bytes + send_bytes) * 1e9 / interval_ns)
            FILTER (interface <> 'lo') AS first,
          -- What goes through lo is counted twice: sent, and received.
          sum(recv_bytes * 1e9 / interval_ns) FILTER (interface = 'lo') AS second
        FROM host_net
        WHERE interval_ns > 0
        GROUP BY ts_ns
        """,
    )


def cache(connection: duckdb.DuckDBPyConnection, axis: Grid) -> list[Sample]:
    """Return the share of looked-up pages that cost no read, as `cachestat` has it."""
    return _sampled(
        connection,
        axis,
        """
        SELECT ts_ns, any_value(interval_ns) AS interval_ns,
          greatest(0, sum(lookups) - sum(read_in))
            / nullif(greatest(sum(lookups), sum(read_in)), 0)::DOUBLE AS first,
          NULL::DOUBLE AS second
        FROM cache_use
        GROUP BY ts_ns
        """,
    )


def _sampled(connection: duckdb.DuckDBPyConnection, axis: Grid, samples: str) -> list[Sample]:
    """Return the means per interval of a query's values, or each sample where these are longer.

    Samples end at `ts_ns` and are `interval_ns` long: their place is their middle.
    """
    rows = connection.execute(
        f"""
        WITH sampled AS ({samples}), placed AS (
          SELECT ts_ns - coalesce(interval_ns, 0) // 2 - $start AS middle, first, second
          FROM sampled
        )
        SELECT
          CASE
            WHEN $width <= 1_000_000_000 THEN middle
            ELSE middle // $width * $width + $width // 2
          END::BIGINT AS place,
          avg(first),
          avg(second)
        FROM placed
        WHERE middle BETWEEN 0 AND $window
        GROUP BY place
        ORDER BY place
        """,  # noqa: S608 - the queries above
        {"start": axis.start_ts_ns, "width": axis.width_ns, "window": axis.window_ns},
    ).fetchall()
    return [Sample(*row) for row in rows]
