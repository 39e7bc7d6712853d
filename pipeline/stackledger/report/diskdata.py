"""What the report shows of disks, aggregated in SQL from `block_io` and `disk`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

DISKS = 8
DRAWN = 3
_MOST_POINTS = 120
_WIDTHS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400)


@dataclass(frozen=True, slots=True)
class DiskRow:
    """One disk over the capture; latency is time in the queue and in the device."""

    dev: int
    name: str
    ios: int
    read_bytes: int
    write_bytes: int
    p50_ns: float
    p95_ns: float
    p99_ns: float
    queue_share: float | None
    errors: int


@dataclass(frozen=True, slots=True)
class DiskPoint:
    """One disk in one interval that starts `offset_ns` after the capture."""

    offset_ns: int
    ios: int
    p50_ns: float
    p99_ns: float


def disks(connection: duckdb.DuckDBPyConnection) -> list[DiskRow]:
    """Return the busiest disks first."""
    rows = connection.execute(
        """
        SELECT
          b.dev,
          coalesce(any_value(d.name), (b.dev >> 20) || ':' || (b.dev & 1048575)),
          count(*) AS ios,
          coalesce(sum(bytes) FILTER (starts_with(rwbs, 'R')), 0)::BIGINT,
          coalesce(sum(bytes) FILTER (contains(rwbs, 'W')), 0)::BIGINT,
          quantile_cont(queue_ns + device_ns, 0.5),
          quantile_cont(queue_ns + device_ns, 0.95),
          quantile_cont(queue_ns + device_ns, 0.99),
          sum(queue_ns)::DOUBLE / nullif(sum(queue_ns + device_ns), 0),
          count(*) FILTER (error <> 0)
        FROM block_io AS b
        LEFT JOIN disk AS d ON d.dev = b.dev
        GROUP BY b.dev
        ORDER BY ios DESC, b.dev
        LIMIT $most
        """,
        {"most": DISKS},
    ).fetchall()
    return [DiskRow(*row) for row in rows]


def interval_ns(window_ns: int) -> int:
    """Return the width of a point: a second, or more where there would be too many."""
    for seconds in _WIDTHS_S:
        if window_ns <= seconds * 10**9 * _MOST_POINTS:
            return seconds * 10**9
    return _WIDTHS_S[-1] * 10**9


def series(
    connection: duckdb.DuckDBPyConnection, dev: int, start_ts_ns: int, width_ns: int
) -> list[DiskPoint]:
    """Return one disk's latency and I/Os per interval; intervals without I/O are absent."""
    rows = connection.execute(
        """
        SELECT
          ((ts_ns - $start) // $width * $width)::BIGINT AS offset_ns,
          count(*),
          quantile_cont(queue_ns + device_ns, 0.5),
          quantile_cont(queue_ns + device_ns, 0.99)
        FROM block_io
        WHERE dev = $dev AND ts_ns >= $start
        GROUP BY ALL
        ORDER BY offset_ns
        """,
        {"dev": dev, "start": start_ts_ns, "width": width_ns},
    ).fetchall()
    return [DiskPoint(*row) for row in rows]
