"""The ledgers of several percentiles at once, aggregated in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.analysis.attribution import PARTS, Band, Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from stackledger.analysis.attribution import Attribution

_USUAL = (75.0, 90.0, 95.0, 99.0, 99.9)


@dataclass(frozen=True, slots=True)
class PercentileBand:
    """The transactions around one percentile."""

    percentile: float
    band: Band


def bands(connection: duckdb.DuckDBPyConnection, attribution: Attribution) -> list[PercentileBand]:
    """Return the attribution's two bands, and those between and above that its size allows.

    A band is half a percent on either side, less where that is beyond the slowest,
    and at least ten transactions, as those of `attribute`.
    """
    asked = attribution.percentile
    n = attribution.transactions
    more = [q for q in _USUAL if q != asked and n * (100 - q) >= 1000]
    found = [PercentileBand(asked, attribution.slow), *_bands(connection, attribution, more)]
    if asked != 50:
        found.append(PercentileBand(50.0, attribution.median))
    return sorted(found, key=lambda one: one.percentile)


def _bands(
    connection: duckdb.DuckDBPyConnection, attribution: Attribution, percentiles: Sequence[float]
) -> list[PercentileBand]:
    if not percentiles:
        return []
    rows = connection.execute(
        """
        WITH ranked AS (
          SELECT
            sock, recv_ts_ns, wall_ns,
            (row_number() OVER (ORDER BY wall_ns, ts_ns, sock) - 0.5) / $n AS place
          FROM roots
          WHERE complete AND ($endpoint IS NULL OR endpoint = $endpoint)
        ), wanted AS (
          SELECT
            percentile,
            greatest(least(0.005, (1 - percentile / 100) / 2), 5.0 / $n) AS half
          FROM (SELECT unnest($percentiles::DOUBLE[]) AS percentile)
        ), chosen AS (
          SELECT w.percentile, r.sock, r.recv_ts_ns, r.wall_ns
          FROM ranked AS r
          JOIN wanted AS w ON r.place
            BETWEEN w.percentile / 100 - w.half AND w.percentile / 100 + w.half
        ), band AS (
          SELECT percentile, count(*) AS roots, avg(wall_ns) AS wall_ns,
            min(wall_ns) AS from_ns, max(wall_ns) AS to_ns
          FROM chosen
          GROUP BY percentile
        ), member AS (
          SELECT
            d.percentile, r.layer, r.service, r.depth, r.critical_share AS share,
            r.cpu_ns, r.runq_ns, r.disk_ns, r.lock_ns, r.sleep_ns, r.queue_ns,
            r.net_ns, r.other_ns, 0 AS untraced_ns, r.unexplained_ns
          FROM placed AS r
          JOIN chosen AS d
            ON d.sock = r.root_sock AND d.recv_ts_ns = r.root_recv_ts_ns
          UNION ALL
          SELECT
            d.percentile, u.layer, u.service, t.depth + 1, t.critical_share,
            0, 0, 0, 0, 0, 0, 0, 0, u.wait_ns, 0
          FROM chosen AS d
          JOIN tree AS t
            ON t.root_sock = d.sock AND t.root_recv_ts_ns = d.recv_ts_ns
          JOIN untraced AS u
            ON u.parent_sock = t.sock AND u.parent_recv_ts_ns = t.recv_ts_ns
        )
        SELECT
          percentile, b.roots, b.wall_ns, b.from_ns, b.to_ns,
          m.layer, coalesce(m.service, ''), min(depth), count(*) / b.roots,
          sum(share * cpu_ns) / b.roots, sum(share * runq_ns) / b.roots,
          sum(share * disk_ns) / b.roots, sum(share * lock_ns) / b.roots,
          sum(share * sleep_ns) / b.roots, sum(share * queue_ns) / b.roots,
          sum(share * net_ns) / b.roots, sum(share * other_ns) / b.roots,
          sum(share * untraced_ns) / b.roots, sum(share * unexplained_ns) / b.roots
        FROM member AS m JOIN band AS b USING (percentile)
        GROUP BY percentile, b.roots, b.wall_ns, b.from_ns, b.to_ns, m.layer, m.service
        ORDER BY percentile, min(depth), m.layer, m.service
        """,
        {
            "endpoint": attribution.endpoint,
            "n": attribution.transactions,
            "percentiles": list(percentiles),
        },
    ).fetchall()
    found: dict[float, Band] = {}
    for percentile, roots, wall_ns, from_ns, to_ns, layer, service, depth, requests, *ns in rows:
        parts = {name: float(value) for name, value in zip(PARTS, ns, strict=True)}
        line = Line(layer, service, depth, requests, sum(parts.values()), parts)
        band = found.setdefault(percentile, Band(roots, wall_ns, from_ns, to_ns, []))
        band.lines.append(line)
    return [PercentileBand(percentile, band) for percentile, band in found.items()]
