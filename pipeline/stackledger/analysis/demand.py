"""Gathers what a capture's requests used, by the subjects of a dimension.

Leaves temporary tables on the connection: `cost_part` (use per subject, layer,
service and block of the window), `cost_count` (transactions or requests per
subject and block), `cost_traffic` (bytes per address) and `cost_peak` (use in
the busiest second). A subject's column is called `endpoint` in each of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackledger.analysis import linking
from stackledger.analysis.intervals import BLOCKS
from stackledger.analysis.needs import views
from stackledger.views import define

if TYPE_CHECKING:
    import duckdb

    from stackledger.analysis.dimensions import Dimension

TABLES = ("cost_part", "cost_count", "cost_traffic", "cost_peak")
# All views that a cost table reads. Those that several others read are kept as tables,
# so that they are worked out once; in the order of their files.
_READ = {
    "span": False,
    "process_service": True,
    "flow": True,
    "edge": True,
    "linked": True,
    "roots": True,
    "worked": False,
    "submitted_io": True,
    "ownerless_io": True,
    "waiting_request": True,
    "awaited_io": True,
    "shared_io": True,
    "given_io": False,
    "request_io": True,
    "request_traffic": True,
    "cost_tree": True,
    "cost_worked": False,
    "flusher": False,
    "dirtied": False,
    "request_writeback": True,
    "cost_own": True,
    "cost_request": False,
    "cost_unattributed": False,
    "cost_tracer": False,
    "cost_window": False,
    "cost_disks": False,
}

# Only read where requests are matched with calls, and with I/O.
_MATCHED = ("flow", "edge", "submitted_io", "waiting_request", "awaited_io", "shared_io")

# One row per root: its subject, as a number, and the block in which it arrived.
_SUBJECTS = """
CREATE OR REPLACE TEMP TABLE cost_rooted AS
SELECT
  r.sock,
  r.recv_ts_ns,
  CAST(LEAST({blocks} - 1, GREATEST(0,
    (r.ts_ns - s.from_ts_ns)::HUGEINT * {blocks} // s.dur_ns)) AS TINYINT) AS block,
  {subject} AS subject
FROM roots AS r {join}, span AS s;
"""
_WITH_REQUEST = "JOIN request AS q USING (sock, recv_ts_ns)"
_NUMBERS = """
CREATE OR REPLACE TEMP TABLE cost_subject AS
SELECT subject, row_number() OVER (ORDER BY subject)::INTEGER AS number
FROM (SELECT DISTINCT subject FROM cost_rooted);
CREATE OR REPLACE TEMP TABLE cost_root AS
SELECT r.sock, r.recv_ts_ns, r.block, n.number
FROM cost_rooted AS r JOIN cost_subject AS n USING (subject);
DROP TABLE temp.cost_rooted;
"""
# One row per subject, process, block and, for the peak, second: numbers, so that this
# grouping of all requests is quick; their names come after it.
_GROUPED = """
CREATE OR REPLACE TEMP TABLE cost_grouped AS
SELECT
  {key} AS key,
  q.pid,
  q.depth = 0 AS first,
  r.block,
  {second} AS second,
  COUNT(*) AS requests,
  SUM(q.cpu_ns) AS cpu_ns,
  SUM(q.disk_ios) AS disk_ios,
  SUM(q.disk_bytes) AS disk_bytes,
  SUM(q.recv_bytes + q.send_bytes) AS net_bytes
FROM {requests} AS q
JOIN cost_root AS r
  ON r.sock = q.root_sock AND r.recv_ts_ns = q.root_recv_ts_ns
GROUP BY ALL
"""
_GROUPED_TRAFFIC = """
CREATE OR REPLACE TEMP TABLE cost_grouped_traffic AS
SELECT
  {key} AS key, q.pid, q.depth = 0 AS first, t.remote_addr,
  CAST(SUM(t.recv_bytes) AS BIGINT) AS recv_bytes,
  CAST(SUM(t.send_bytes) AS BIGINT) AS send_bytes
FROM {requests} AS q
JOIN request_traffic AS t USING (sock, recv_ts_ns)
JOIN cost_root AS r
  ON r.sock = q.root_sock AND r.recv_ts_ns = q.root_recv_ts_ns
GROUP BY ALL
"""
_NAMED = """
SELECT {subject} AS endpoint, s.layer, s.service, g.* EXCLUDE (key, pid, first)
FROM {grouped} AS g
LEFT JOIN cost_subject AS n ON n.number = TRY_CAST(g.key AS INTEGER)
LEFT JOIN (
  SELECT pid, first, service, layer_of(layer, first) AS layer
  FROM process_service CROSS JOIN (VALUES (TRUE), (FALSE)) AS t(first)
) AS s USING (pid, first)
LEFT JOIN (
  SELECT pid, arg_max(cgroup, ts_ns) AS cgroup FROM process GROUP BY pid
) AS c USING (pid)
"""
_PARTS = """
CREATE OR REPLACE TEMP TABLE cost_part AS
SELECT
  endpoint, layer, service, block,
  CAST(SUM(requests) AS BIGINT) AS requests,
  SUM(cpu_ns) AS cpu_ns,
  SUM(disk_ios) AS disk_ios,
  SUM(disk_bytes) AS disk_bytes,
  SUM(net_bytes) AS net_bytes
FROM ({named}) GROUP BY ALL
"""
_COUNTS = """
CREATE OR REPLACE TEMP TABLE cost_count AS
SELECT n.subject AS endpoint, r.block, COUNT(*) AS requests
FROM cost_root AS r JOIN cost_subject AS n USING (number)
GROUP BY ALL
"""
_REQUEST_COUNTS = """
CREATE OR REPLACE TEMP TABLE cost_count AS
SELECT endpoint, block, CAST(SUM(requests) AS BIGINT) AS requests
FROM cost_part GROUP BY ALL
"""
_TRAFFIC = """
CREATE OR REPLACE TEMP TABLE cost_traffic AS
SELECT
  endpoint, layer, service, remote_addr,
  CAST(SUM(recv_bytes) AS BIGINT) AS recv_bytes,
  CAST(SUM(send_bytes) AS BIGINT) AS send_bytes
FROM ({named}) GROUP BY ALL
"""
# Use counts in the second in which the request arrived. Empty without seconds.
_PEAK = """
CREATE OR REPLACE TEMP TABLE cost_peak AS
WITH uses AS (
  UNPIVOT (
    SELECT
      endpoint, layer, service, second,
      CAST(SUM(cpu_ns) AS HUGEINT) AS cpu,
      CAST(SUM(disk_ios) AS HUGEINT) AS disk_iops,
      CAST(SUM(disk_bytes) AS HUGEINT) AS disk_throughput
    FROM ({named}) WHERE second IS NOT NULL GROUP BY ALL
  ) ON cpu, disk_iops, disk_throughput INTO NAME resource VALUE use
), busiest AS (
  SELECT resource, arg_max(second, (use, -second)) AS second
  FROM (SELECT resource, second, SUM(use) AS use FROM uses GROUP BY ALL)
  GROUP BY resource
)
SELECT resource, endpoint, layer, service, use
FROM uses JOIN busiest USING (resource, second)
WHERE use > 0
"""


def gather(connection: duckdb.DuckDBPyConnection, by: Dimension, *, peak: bool) -> None:
    """Write the temporary tables of `TABLES`; `peak` says whether the busiest second matters."""
    # The joins are written with the smaller side on the right; a guess of the sizes,
    # which is wrong here, takes twice the time (bench/cost.py).
    connection.execute("SET disabled_optimizers = 'build_side_probe_side'")
    _keep(connection)
    roots = _SUBJECTS.format(
        blocks=BLOCKS,
        subject=by.subject if by.of_roots else "''",
        join=_WITH_REQUEST if by.pattern is not None else "",
    )
    connection.execute(roots, by.parameters)
    connection.execute(_NUMBERS)
    words = {
        "key": by.key,
        "requests": "cost_request" if by.key == "q.endpoint" else "cost_own",
        "second": "q.ts_ns // 1000000000" if peak else "NULL::BIGINT",
    }
    connection.execute(_GROUPED.format(**words))
    connection.execute(_GROUPED_TRAFFIC.format(**words))
    subject = "n.subject" if by.of_roots else by.subject
    named = _NAMED.format(subject=subject, grouped="cost_grouped")
    connection.execute(_PARTS.format(named=named))
    connection.execute(_COUNTS if by.of_roots else _REQUEST_COUNTS)
    connection.execute(_PEAK.format(named=named))
    named = _NAMED.format(subject=subject, grouped="cost_grouped_traffic")
    connection.execute(_TRAFFIC.format(named=named))
    for table in ("cost_subject", "cost_root", "cost_grouped", "cost_grouped_traffic"):
        connection.execute(f"DROP TABLE temp.{table}")
    connection.execute("RESET disabled_optimizers")


def _keep(connection: duckdb.DuckDBPyConnection) -> None:
    """Define the views of `_READ` where they are not, and turn some into temporary tables.

    Each before the next is defined: that one then reads the table, and binding
    it does not unfold all views below it again.
    """
    rows = connection.execute(
        "SELECT table_name, TRUE FROM duckdb_tables() WHERE temporary UNION ALL "
        "SELECT view_name, temporary FROM duckdb_views() WHERE NOT internal"
    ).fetchall()
    made = {name for name, temporary in rows if temporary}
    missing = _READ.keys() - {name for name, _ in rows}
    if linking.use(connection):
        define(connection, missing)
        missing = set()
        if "process_service" not in made:
            connection.execute("CREATE TEMP TABLE process_service AS FROM process_service")
        linking.read(connection)
        made |= {"process_service", *_MATCHED, *linking.VIEWS}
    elif missing:
        define(connection, set())
    for name, kept in _READ.items():
        if name in missing:
            select = views()[name]
            connection.execute(f'CREATE VIEW memory.main."{name}" AS {select}')
        if kept and name not in made:
            connection.execute(f'CREATE TEMP TABLE "{name}" AS FROM memory.main."{name}"')
