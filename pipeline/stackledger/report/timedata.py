"""What the report shows over time, aggregated in SQL: a bounded number of cells and points.

Reads `roots`, `block_io` and `tcp_retransmit`. All places are offsets from the start of
the range shown; a request is where it was answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

COLUMNS = 72
BUCKETS = 24
_SECOND = 10**9
_WIDTHS_MS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000)
_WIDTHS_MIN = (2, 5, 10, 20, 30, 60, 120, 240, 480, 1440)


@dataclass(frozen=True, slots=True)
class Grid:
    """The common time axis: `columns` intervals of `width_ns` from `start_ts_ns` on."""

    start_ts_ns: int
    window_ns: int
    width_ns: int

    @property
    def columns(self) -> int:
        """Return how many intervals there are; the last one may be cut short."""
        return max(1, -(-self.window_ns // self.width_ns))


@dataclass(frozen=True, slots=True)
class Cell:
    """So many requests answered in one interval with latencies `from_ns` to `to_ns`."""

    column: int
    from_ns: float
    to_ns: float
    requests: int


@dataclass(frozen=True, slots=True)
class Interval:
    """What was answered in one interval; intervals without an answer are absent."""

    column: int
    requests: int
    p50_ns: float
    p99_ns: float


@dataclass(frozen=True, slots=True)
class DiskInterval:
    """All disks' I/Os that were completed in one interval, queue and device."""

    column: int
    ios: int
    p50_ns: float
    p99_ns: float


def grid(start_ts_ns: int, window_ns: int) -> Grid:
    """Return the axis of a range: at most `COLUMNS` intervals of a round length."""
    widths = [ms * 10**6 for ms in _WIDTHS_MS] + [m * 60 * _SECOND for m in _WIDTHS_MIN]
    fitting = (width for width in widths if window_ns <= width * COLUMNS)
    return Grid(start_ts_ns, max(window_ns, 1), next(fitting, -(-window_ns // COLUMNS)))


def cells(connection: duckdb.DuckDBPyConnection, endpoint: str | None, axis: Grid) -> list[Cell]:
    """Return the heat map of answered roots: time by logarithmic latency, no empty cell."""
    rows = connection.execute(
        """
        WITH answered AS (
          SELECT
            least((ts_ns + wall_ns - $start) // $width, $last)::BIGINT AS place,
            log10(greatest(wall_ns, 1)) AS x
          FROM roots
          WHERE complete AND ts_ns + wall_ns >= $start
            AND ($endpoint IS NULL OR endpoint = $endpoint)
        ), scale AS (
          -- At most BUCKETS of them over the whole range.
          SELECT CASE
            WHEN max(x) - min(x) <= 22.0 / 24 THEN 24
            WHEN max(x) - min(x) <= 22.0 / 16 THEN 16
            WHEN max(x) - min(x) <= 22.0 / 8 THEN 8
            WHEN max(x) - min(x) <= 22.0 / 4 THEN 4
            ELSE 1
          END AS per_decade
          FROM answered
        )
        SELECT place, floor(x * per_decade)::BIGINT AS bucket, per_decade, count(*)
        FROM answered CROSS JOIN scale
        GROUP BY ALL
        ORDER BY ALL
        """,
        _given(axis) | {"endpoint": endpoint},
    ).fetchall()
    return [
        Cell(at, 10.0 ** (bucket / per), 10.0 ** ((bucket + 1) / per), requests)
        for at, bucket, per, requests in rows
    ]


def intervals(
    connection: duckdb.DuckDBPyConnection, endpoint: str | None, axis: Grid
) -> list[Interval]:
    """Return requests and latency per interval, of answered roots."""
    rows = connection.execute(
        """
        SELECT
          least((ts_ns + wall_ns - $start) // $width, $last)::BIGINT AS place,
          count(*),
          quantile_cont(wall_ns, 0.5),
          quantile_cont(wall_ns, 0.99)
        FROM roots
        WHERE complete AND ts_ns + wall_ns >= $start
          AND ($endpoint IS NULL OR endpoint = $endpoint)
        GROUP BY place
        ORDER BY place
        """,
        _given(axis) | {"endpoint": endpoint},
    ).fetchall()
    return [Interval(*row) for row in rows]


def disk(connection: duckdb.DuckDBPyConnection, axis: Grid) -> list[DiskInterval]:
    """Return the I/Os of all disks per interval; intervals without I/O are absent."""
    rows = connection.execute(
        """
        SELECT
          least((ts_ns - $start) // $width, $last)::BIGINT AS place,
          count(*),
          quantile_cont(queue_ns + device_ns, 0.5),
          quantile_cont(queue_ns + device_ns, 0.99)
        FROM block_io
        WHERE ts_ns >= $start
        GROUP BY place
        ORDER BY place
        """,
        _given(axis),
    ).fetchall()
    return [DiskInterval(*row) for row in rows]


def retransmits(connection: duckdb.DuckDBPyConnection, axis: Grid) -> list[tuple[int, int]]:
    """Return (interval, packets sent again); intervals without any are absent."""
    return connection.execute(
        """
        SELECT
          least((ts_ns - $start) // $width, $last)::BIGINT AS place,
          count(*)
        FROM tcp_retransmit
        WHERE ts_ns >= $start
        GROUP BY place
        ORDER BY place
        """,
        _given(axis),
    ).fetchall()


def _given(axis: Grid) -> dict[str, int]:
    return {"start": axis.start_ts_ns, "width": axis.width_ns, "last": axis.columns - 1}
