"""Times `stackledger report` on a made-up capture: four layers, forty endpoints, disk I/O.

    python bench/report.py [TRANSACTIONS]

Prints how long assembly, attribution and the page take, and the page's size. The
figures to hold for 1,000,000 transactions: the page within 2 s once the relations
are assembled, at most 3 MB.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "pipeline"))

import duckdb

from stackledger import store
from stackledger.analysis.assembly import assemble
from stackledger.analysis.attribution import attribute
from stackledger.manifest import Loss, Machine, Manifest, Topology
from stackledger.report import (
    diskdata,
    drawing,
    html,
    pagedata,
    percentiledata,
    requestdata,
    slowdata,
    timedata,
)
from stackledger.schema import SCHEMA_VERSION

CHAINS = 64  # connections side by side, each with one transaction every 50 ms
PERIOD_NS = 50_000_000
START_NS = 1_700_000_000_000_000_000

# Layer l serves on socket chain * 100 + l and calls the next one from it + 50.
CONNECTIONS = """
INSERT INTO connection BY NAME
WITH chain AS (SELECT unnest(range($chains)) AS chain),
layer AS (
  SELECT * FROM (VALUES (0, 'nginx'), (1, 'haproxy'), (2, 'orders'), (3, 'postgres'))
    AS t(layer, comm)
)
SELECT $start AS ts_ns, chain * 100 + layer + 100 AS sock, true AS accepted, 2 AS family,
  '127.0.0.1' AS local_addr, 8000 + layer AS local_port, '127.0.0.1' AS remote_addr,
  20000 + chain * 10 + layer AS remote_port, 0 AS peer_sock, 100 + layer AS pid,
  100 + layer AS tid, comm
FROM chain, layer
UNION ALL BY NAME
SELECT $start AS ts_ns, chain * 100 + layer + 150 AS sock, false AS accepted, 2 AS family,
  '127.0.0.1' AS local_addr, 20000 + chain * 10 + layer + 1 AS local_port,
  '127.0.0.1' AS remote_addr, 8001 + layer AS remote_port, 0 AS peer_sock,
  100 + layer AS pid, 100 + layer AS tid, comm
FROM chain, layer WHERE layer < 3
"""
SPANS = """
CREATE TEMP TABLE made AS
SELECT
  i, layer, i % $chains AS chain, 'GET /api/endpoint' || (i % 40) AS endpoint,
  $start + (i // $chains) * $period + layer * 100_000 AS ts_ns,
  1_000_000 + (4_000_000 * (-ln(1 - (hash(i) % 1_000_000) / 1_000_001.0)))::BIGINT
    - layer * 200_000 + 600_000 AS wall_ns
FROM range($transactions) AS t(i), range(4) AS l(layer)
"""
REQUESTS = """
INSERT INTO request BY NAME
SELECT
  ts_ns, chain * 100 + layer + 100 AS sock, $start AS conn_ts_ns, ts_ns + 10_000 AS recv_ts_ns,
  100 + layer AS pid, 1000 + chain * 10 + layer AS tid, wall_ns,
  CASE WHEN layer < 3 THEN 50_000 ELSE 200_000 END AS cpu_ns, 20_000 AS runq_ns,
  CASE WHEN layer = 3 THEN wall_ns - 240_000 ELSE 0 END AS disk_ns,
  0 AS lock_ns, 0 AS sleep_ns, 0 AS other_ns, -1 AS other_syscall,
  CASE WHEN layer < 3 THEN wall_ns - 90_000 ELSE 0 END AS covered_ns,
  CASE WHEN layer < 3 THEN 5_000 ELSE 0 END AS answer_queue_ns, 1000 AS after_cpu_ns,
  (layer < 3)::INTEGER AS calls, 0 AS handovers, 200 AS recv_bytes, 900 AS send_bytes,
  'http' AS protocol, endpoint, '' AS statement, 200 AS status, i % 997 = 0 AS error,
  true AS complete
FROM made
"""
CALLS = """
INSERT INTO call BY NAME
SELECT
  ts_ns + 60_000 AS ts_ns, chain * 100 + layer + 150 AS sock, $start AS conn_ts_ns,
  chain * 100 + layer + 100 AS owner_sock, ts_ns + 10_000 AS owner_recv_ts_ns,
  100 + layer AS pid, 1000 + chain * 10 + layer AS tid, wall_ns - 90_000 AS wall_ns, 0 AS busy_ns,
  5_000 AS answer_queue_ns, 200 AS send_bytes, 900 AS recv_bytes, false AS inherited,
  'http' AS protocol, endpoint, '' AS statement, true AS complete
FROM made WHERE layer < 3
"""
DISK = """
INSERT INTO block_io BY NAME
SELECT ts_ns + wall_ns AS ts_ns, 103 AS pid, 1003 + chain * 10 AS tid, 'postgres' AS comm,
  8 << 20 AS dev, i AS sector, 8192 AS bytes, 'R' AS rwbs, 10_000 AS queue_ns,
  wall_ns - 250_000 AS device_ns, 0 AS error
FROM made WHERE layer = 3
"""


def make(transactions: int) -> duckdb.DuckDBPyConnection:
    """Return a capture's connection with that many transactions of four layers."""
    ended_ns = START_NS + (transactions // CHAINS + 1) * PERIOD_NS
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        id="bench",
        name="bench",
        state="complete",
        host="bench",
        kernel="",
        boot_id="",
        machine=Machine(cpus=2, memory_bytes=1 << 33, arch="x86_64"),
        stackledger="",
        bpftrace="",
        started_ns=START_NS,
        ended_ns=ended_ns,
        options={},
        filters={},
        topology=Topology(),
        probes=[],
        losses=[
            Loss(
                table="request",
                produced=4 * transactions,
                received=4 * transactions,
                lost=0,
                undecodable=0,
            )
        ],
    )
    connection = store.connect(store.Capture(Path("bench-has-no-files"), manifest))
    given = {"start": START_NS, "chains": CHAINS}
    connection.execute(CONNECTIONS, given)
    connection.execute(SPANS, {**given, "transactions": transactions, "period": PERIOD_NS})
    connection.execute(REQUESTS, {"start": START_NS})
    connection.execute(CALLS, {"start": START_NS})
    connection.execute(DISK)
    connection.execute("DROP TABLE made")
    return connection


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block took."""
    before = time.perf_counter()
    yield
    print(f"{what:28} {time.perf_counter() - before:7.3f} s", flush=True)


def main() -> None:
    """Print the figures."""
    transactions = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with timed("make the capture"):
        connection = make(transactions)
    with timed("assemble"):
        assemble(connection)
    with timed("attribute"):
        found = attribute(connection)
    band_ns = (found.slow.from_ns, found.slow.to_ns)
    with timed("  query: overview"):
        told = pagedata.overview(connection)
    with timed("  query: histogram"):
        pagedata.histogram(connection, None, band_ns)
    with timed("  query: percentiles"):
        pagedata.percentiles(connection, None)
    with timed("  query: endpoints"):
        requestdata.endpoints(connection)
    with timed("  query: services"):
        requestdata.services(connection)
    with timed("  query: slowest"):
        slowdata.slowest(connection, None)
    with timed("  query: ledgers by percentile"):
        percentiledata.bands(connection, found)
    with timed("  query: heat map"):
        axis = timedata.grid(told.started_ts_ns, told.window_ns)
        timedata.cells(connection, None, axis)
    with timed("  query: intervals"):
        timedata.intervals(connection, None, axis)
    with timed("  query: disks"):
        rows = diskdata.disks(connection)
    with timed("  query: disk over time"):
        width_ns = diskdata.interval_ns(told.window_ns)
        diskdata.series(connection, rows[0].dev, told.started_ts_ns, width_ns)
    with timed("start what draws charts"):
        drawing.prepare()
    with timed("render the page, all of it"):
        page = html.render(connection, attribution=found)
    print(f"{'size of the page':28} {len(page.encode()) / 1e6:7.3f} MB")


if __name__ == "__main__":
    main()
