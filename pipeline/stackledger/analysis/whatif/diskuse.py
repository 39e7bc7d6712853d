"""Reads which disk the requests of a capture use, how much, and each root's visits to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from stackledger.analysis.whatif.demand import Job

_VISITS = """
SELECT
  t.root_sock, t.root_recv_ts_ns,
  sum(io.ios)::BIGINT, sum(io.bytes)::BIGINT, sum(io.service_ns)::BIGINT,
  sum(io.reads)::BIGINT, sum(io.read_bytes)::BIGINT, sum(io.read_ns)::BIGINT
FROM sampled AS s
JOIN tree AS t ON t.root_sock = s.sock AND t.root_recv_ts_ns = s.recv_ts_ns
JOIN request_io AS io ON io.sock = t.sock AND io.recv_ts_ns = t.recv_ts_ns
WHERE io.dev = $dev
GROUP BY t.root_sock, t.root_recv_ts_ns
"""
_DEVICE = """
SELECT dev, sum(ios) AS ios FROM request_io GROUP BY dev ORDER BY ios DESC, dev LIMIT 1
"""
_RATES = """
WITH io AS (
  SELECT
    greatest(1, (bytes + 262143) // 262144) AS ios, bytes,
    (ts_ns - $begin) // 1_000_000_000 AS second
  FROM block_io
  WHERE dev = $dev AND ts_ns BETWEEN $begin AND $end AND bytes > 0
), seconds AS (
  SELECT sum(ios) AS ios, sum(bytes) AS bytes FROM io GROUP BY second
)
SELECT
  coalesce(sum(ios), 0)::DOUBLE, coalesce(sum(bytes), 0)::DOUBLE,
  coalesce(quantile_cont(ios, 0.9), 0)::DOUBLE
FROM seconds
"""


@dataclass(frozen=True, slots=True)
class DiskUse:
    """The disk that requests wait for: its I/Os and bytes per second.

    `own_hz` are the requests' own I/Os, `ios_hz` and `bytes_hz` everybody's, `peak_hz`
    those in the busiest seconds.
    """

    dev: int
    name: str
    own_hz: float
    ios_hz: float
    bytes_hz: float
    peak_hz: float


def read(connection: duckdb.DuckDBPyConnection, begin: int, end: int) -> DiskUse | None:
    """Return the disk that requests use most, None where they use none; `own_hz` is left 0."""
    found = connection.execute(_DEVICE).fetchone()
    if found is None:
        return None
    dev = found[0]
    rates = connection.execute(_RATES, {"dev": dev, "begin": begin, "end": end}).fetchone()
    name = connection.execute("SELECT name FROM disk WHERE dev = $1", [dev]).fetchone()
    assert rates is not None
    seconds = max(1, end - begin) / 1e9
    return DiskUse(
        dev=dev,
        name=name[0] if name else f"{dev >> 20}:{dev & 0xFFFFF}",
        own_hz=0.0,
        ios_hz=rates[0] / seconds,
        bytes_hz=rates[1] / seconds,
        peak_hz=max(rates[2], rates[0] / seconds),
    )


def visit(
    connection: duckdb.DuckDBPyConnection, dev: int, jobs: dict[tuple[int, int], Job]
) -> None:
    """Give every job its visits to the disk, those included that the kernel made for it."""
    # One that did not wait today, for its I/O was quick, would for a slower disk.
    for row in connection.execute(_VISITS, {"dev": dev}).fetchall():
        job = jobs[row[0], row[1]]
        job.visits, job.bytes, job.service_ns, job.reads, job.read_bytes, job.read_ns = row[2:]
