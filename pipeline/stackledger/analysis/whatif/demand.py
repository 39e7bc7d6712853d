"""Reads from a capture what every root request asked for, and how its callers call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stackledger.analysis.assembly import keep
from stackledger.analysis.whatif import cpuuse, diskuse
from stackledger.errors import NoSuchCaptureError

if TYPE_CHECKING:
    import duckdb

    from stackledger.analysis.whatif.diskuse import DiskUse

# Roots replayed at most: beyond, whole stretches of the capture are taken.
MOST_ROOTS = 8000
_STRETCHES = 8
# Callers whose connections are busy for this share of the time wait for answers.
_CLOSED_SHARE = 0.5
_BLOCKS = 30

_KEPT = (
    *("submitted_io", "ownerless_io", "waiting_request", "awaited_io", "shared_io"),
    *("request_io", "root_cycle"),
)

_SAMPLE = """
CREATE OR REPLACE TEMP TABLE sampled AS
WITH placed AS (
  SELECT
    *,
    row_number() OVER (ORDER BY ts_ns, sock) - 1 AS place,
    count(*) OVER () AS n
  FROM root_cycle
)
SELECT * EXCLUDE (place, n), place * $stretches // n AS stretch
FROM placed
WHERE n <= $most
  OR place - (place * $stretches // n * n + $stretches - 1) // $stretches < $most // $stretches
"""
_CYCLE = """
SELECT
  count(*),
  min(ts_ns),
  max(ts_ns + wall_ns),
  sum(wall_ns)::BIGINT,
  avg(think_ns),
  coalesce(sum(think_ns), 0)::BIGINT,
  count(think_ns)
FROM root_cycle
"""
_JOBS = """
SELECT
  s.ts_ns, s.wall_ns, s.think_ns, s.endpoint, s.sock, s.recv_ts_ns,
  d.cpu_ns, d.runq_ns, d.disk_ns, d.cpu_spent_ns, d.database_cpu_ns
FROM sampled AS s
JOIN root_demand AS d USING (sock, recv_ts_ns)
ORDER BY s.ts_ns, s.sock
"""
_RATES_BY_BLOCK = """
WITH bounds AS (
  SELECT min(ts_ns) AS begin, greatest(1, max(ts_ns) - min(ts_ns)) AS span FROM root_cycle
)
SELECT count(ts_ns) * $blocks * 1e9 / any_value(span)
FROM range($blocks) AS b(block)
CROSS JOIN bounds
LEFT JOIN root_cycle
  ON least($blocks - 1, (ts_ns - begin) * $blocks // span) = block
GROUP BY block
ORDER BY block
"""


@dataclass(slots=True)
class Job:
    """One root request: what it asked for, in nanoseconds, and how it went.

    `cpu_ns` lies in the way of its answer, `beside_ns` does not. `wait_ns` is all else
    but `runq_ns` (waiting for a CPU, or for a thread that is busy) and the disk. Its
    `visits` to the disk, an I/O each, of `bytes` in all took `service_ns` there;
    `disk_ns` is what it waited for them. Of these visits `reads`, of `read_bytes` in
    all, took `read_ns`.
    """

    arrival_ns: int
    wall_ns: int
    think_ns: int
    endpoint: str
    cpu_ns: float
    runq_ns: float
    disk_ns: float
    wait_ns: float
    beside_ns: float
    database_share: float
    visits: int = 0
    bytes: int = 0
    service_ns: float = 0.0
    reads: int = 0
    read_bytes: int = 0
    read_ns: float = 0.0


@dataclass(frozen=True, slots=True)
class Demand:
    """The roots to replay, in order of arrival, and what surrounded them.

    `roots` is how many the capture has. `clients` is how many callers there are if
    `closed`: each sends its next request after the answer to the last. `cores` is the
    use of each of the host's CPUs, the busiest first, less what runs niced; `spent` are
    the CPUs that the requests' own ledgers account for, `attending` those besides of
    their processes, of callers here and of the tracer, None where that is not known.
    """

    jobs: list[Job]
    roots: int
    rate_hz: float
    closed: bool
    clients: int
    cores: tuple[float, ...]
    spent: float
    attending: float | None
    disk: DiskUse | None

    def cpu_share(self, cpus: int) -> float:
        """Return the use of that many CPUs: of fewer than the host has, the busiest."""
        used = self.cores[:cpus]
        return sum(used) / len(used)

    def extra_ns(self, cpus: int) -> float:
        """Return the CPU time per root, on that many CPUs, of what attends to requests.

        Where processes are not known, it is all that no request's ledger has.
        """
        rest = max(0.0, sum(self.cores[:cpus]) - self.spent)
        attending = rest if self.attending is None else min(rest, self.attending)
        return attending / self.rate_hz * 1e9

    def others(self, cpus: int) -> float:
        """Return how many of the CPUs work for others, whatever the requests do."""
        attending = self.extra_ns(cpus) * self.rate_hz / 1e9
        return max(0.0, sum(self.cores[:cpus]) - self.spent - attending)


def read(connection: duckdb.DuckDBPyConnection) -> Demand:
    """Return the demand of an assembled capture.

    Leaves the temporary table `sampled` in the connection. Raises NoSuchCaptureError
    where no root was answered.
    """
    keep(connection, *_KEPT)
    row = connection.execute(_CYCLE).fetchone()
    if row is None or not row[0]:
        raise NoSuchCaptureError(
            "no complete request in this capture",
            hint="was there traffic? stackledger show lists the tables",
        )
    roots, begin, end, walls, mean_think, thinks, cycles = row
    span_ns = max(1, end - begin)
    connection.execute(_SAMPLE, {"most": MOST_ROOTS, "stretches": _STRETCHES})
    rows = connection.execute(_JOBS).fetchall()
    jobs = {(row[4], row[5]): _job(row, mean_think or 0.0) for row in rows}
    disk = diskuse.read(connection, begin, end)
    if disk is not None:
        diskuse.visit(connection, disk.dev, jobs)
        visits = sum(job.visits for job in jobs.values()) / len(jobs)
        disk = replace(disk, own_hz=min(visits * roots / span_ns * 1e9, disk.ios_hz))
    known = connection.execute("SELECT sum(cpu_spent_ns)::DOUBLE FROM requests").fetchone()
    spent = float(known[0] or 0) if known else 0.0
    # Every caller is either waiting for an answer or thinking.
    cycle_ns = walls + thinks + (roots - cycles) * (mean_think or 0)
    closed = cycles >= roots / 2 and walls >= _CLOSED_SHARE * cycle_ns
    return Demand(
        jobs=list(jobs.values()),
        roots=roots,
        rate_hz=roots / span_ns * 1e9,
        closed=closed,
        clients=max(1, round(cycle_ns / span_ns)),
        cores=cpuuse.cores(connection, begin, end),
        spent=spent / span_ns,
        attending=cpuuse.attending(connection, begin, end, spent),
        disk=disk,
    )


def rates(connection: duckdb.DuckDBPyConnection) -> list[float]:
    """Return the root requests per second in each of 30 equal parts of the time, after `read`."""
    found = connection.execute(_RATES_BY_BLOCK, {"blocks": _BLOCKS}).fetchall()
    return [float(row[0]) for row in found]


def _job(row: tuple, mean_think: float) -> Job:  # type: ignore[type-arg]
    arrival, wall, think, endpoint, _, _, cpu, runq, disk, spent, database = row
    return Job(
        arrival_ns=arrival,
        wall_ns=wall,
        think_ns=max(0, int(mean_think if think is None else think)),
        endpoint=endpoint,
        cpu_ns=float(cpu),
        runq_ns=float(runq),
        disk_ns=float(disk),
        wait_ns=float(max(0, wall - cpu - runq - disk)),
        beside_ns=float(max(0, spent - cpu)),
        database_share=min(1.0, database / spent) if spent else 0.0,
    )
