"""Splits every pool of a bill over root endpoints, layers and services, in SQL.

Money is split by running totals: a claim gets split(cost, claims up to here)
less split(cost, claims before here), each rounded down to 1e-12 dollars. So no
share is negative, and the shares sum to the cost without a remainder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackledger.analysis.costlines import LINES, MERGED, transactions
from stackledger.analysis.intervals import write_blocks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    import duckdb

    from stackledger.analysis.billing import Pool

# Whole 1e-12 dollars: HUGEINT division is exact, `/` would make a DOUBLE.
_MACROS = """
CREATE OR REPLACE TEMP MACRO cost_upto(usd, part, whole) AS
  CAST(usd * 1000000000000 AS HUGEINT) * part // whole;
CREATE OR REPLACE TEMP MACRO cost_between(usd, running, part, whole) AS
  COALESCE(
    cost_upto(usd, running, whole) - cost_upto(usd, running - part, whole), 0
  ) * CAST(0.000000000001 AS DECIMAL(13, 12));
CREATE OR REPLACE TEMP MACRO cost_each(usd, n) AS
  CAST(usd * 1000000000000 AS HUGEINT) * 1000000 // n
  * CAST(0.000000000000000001 AS DECIMAL(19, 18));
"""

_POOLS = """
CREATE OR REPLACE TEMP TABLE cost_pool (
  pool INTEGER, resource VARCHAR, cost_usd DECIMAL(38, 12), capacity HUGEINT,
  unattributed_use HUGEINT, tracer_use HUGEINT, whole BOOLEAN, ios_limit HUGEINT,
  bytes_limit HUGEINT, key VARCHAR, name VARCHAR, metered BOOLEAN
);
CREATE OR REPLACE TEMP TABLE cost_pool_layer (pool INTEGER, layer VARCHAR);
CREATE OR REPLACE TEMP TABLE cost_low (resource VARCHAR, share DECIMAL(18, 12));
"""

# One row per subject, layer and service.
_DEMAND = """
CREATE OR REPLACE TEMP TABLE cost_demand AS
WITH counts AS (
  SELECT COALESCE(endpoint, '') AS endpoint, SUM(requests) AS requests
  FROM cost_count GROUP BY ALL
)
SELECT
  n.endpoint,
  COALESCE(layer, '') AS layer,
  COALESCE(service, '') AS service,
  CAST(ANY_VALUE(n.requests) AS HUGEINT) AS requests,
  CAST(COALESCE(SUM(cpu_ns), 0) AS HUGEINT) AS cpu_ns,
  CAST(COALESCE(SUM(disk_ios), 0) AS HUGEINT) AS disk_ios,
  CAST(COALESCE(SUM(disk_bytes), 0) AS HUGEINT) AS disk_bytes,
  CAST(COALESCE(SUM(net_bytes), 0) AS HUGEINT) AS net_bytes
FROM cost_part AS p
JOIN counts AS n ON n.endpoint = COALESCE(p.endpoint, '')
GROUP BY ALL
"""

# One row per pool and claim on it: of kind request a layer and service of a subject;
# of kind tracer and unattributed the use that belongs to no request.
_CLAIMS = """
CREATE OR REPLACE TEMP TABLE cost_claim AS
WITH
uses AS (
  SELECT
    pool, endpoint, layer, service, 'request' AS kind, requests,
    CASE resource
      WHEN 'cpu' THEN cpu_ns
      WHEN 'disk_iops' THEN disk_ios
      WHEN 'disk_throughput' THEN disk_bytes
      -- A volume's capacity goes by device time: what its limits make of it.
      WHEN 'disk_capacity' THEN COALESCE(
        GREATEST(
          disk_ios * 1000000000 // ios_limit,
          disk_bytes * 1000000000 // bytes_limit
        ),
        disk_ios
      )
      ELSE 0
    END AS use
  FROM cost_demand
  JOIN cost_pool_layer USING (layer)
  JOIN cost_pool USING (pool)
  WHERE key = 'use' AND resource <> 'network'
  UNION ALL
  SELECT
    pool, COALESCE(endpoint, ''), COALESCE(layer, ''), COALESCE(service, ''),
    'request', 0, SUM(bytes)
  FROM cost_network JOIN cost_pool ON name = class
  WHERE resource = 'network'
  GROUP BY ALL
  UNION ALL
  SELECT pool, '', '', '', kind, 0, use
  FROM (
    SELECT pool, key, 'tracer' AS kind, tracer_use AS use FROM cost_pool
    UNION ALL
    SELECT pool, key, 'unattributed', unattributed_use FROM cost_pool
  )
  WHERE key = 'use' AND use > 0
),
weights AS (
  SELECT
    * EXCLUDE (use, requests),
    use,
    -- A layer without I/O still keeps its data: by requests, then.
    CASE
      WHEN resource = 'disk_capacity' AND SUM(use) OVER claims_of = 0
        THEN requests
      ELSE use
    END AS weight
  FROM uses JOIN cost_pool USING (pool)
  WINDOW claims_of AS (PARTITION BY pool)
),
running AS (
  SELECT
    *,
    SUM(weight) OVER (
      PARTITION BY pool
      ORDER BY kind, endpoint, layer, service
      ROWS UNBOUNDED PRECEDING
    ) AS weight_upto,
    SUM(weight) OVER (PARTITION BY pool) AS weight_all
  FROM weights
)
SELECT
  pool, resource, endpoint, layer, service, kind, use,
  CASE
    WHEN resource = 'network' OR metered THEN 'use'
    WHEN whole OR weight_all >= COALESCE(capacity, 0) THEN 'share'
    ELSE 'use'
  END AS basis,
  cost_between(
    cost_usd,
    weight_upto,
    weight,
    NULLIF(
      CASE WHEN whole THEN weight_all ELSE GREATEST(capacity, weight_all) END,
      0
    )
  ) AS cost_usd
FROM running
"""


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Define the macros and the temporary table `cost_demand`."""
    connection.execute(_MACROS)
    connection.execute(_DEMAND)


def allocate(
    connection: duckdb.DuckDBPyConnection,
    pools: list[Pool],
    *,
    idle: str,
    lost_share: float,
    low_shares: Mapping[str, Decimal],
) -> None:
    """Write the temporary tables cost_claim, cost_line, cost_block and cost_per_transaction.

    `low_shares` is, per resource, what the lowest of conflicting prices come to
    as a share of the prices that are used.
    """
    connection.execute(_POOLS)
    for resource, low in low_shares.items():
        connection.execute("INSERT INTO cost_low VALUES (?, ?)", [resource, low])
    layers = [
        row[0] for row in connection.execute("SELECT DISTINCT layer FROM cost_demand").fetchall()
    ]
    for number, pool in enumerate(pools):
        connection.execute(
            "INSERT INTO cost_pool VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                number,
                pool.resource,
                pool.cost_usd,
                pool.capacity,
                pool.unattributed_use,
                pool.tracer_use,
                pool.whole,
                pool.ios_limit,
                pool.bytes_limit,
                pool.key,
                pool.name,
                pool.metered,
            ],
        )
        for layer in layers if pool.layers is None else sorted(pool.layers):
            connection.execute("INSERT INTO cost_pool_layer VALUES (?, ?)", [number, layer])
    connection.execute(_CLAIMS)
    connection.execute(LINES, {"idle": idle})
    connection.execute(MERGED)
    write_blocks(connection)
    connection.execute(transactions(), {"lost_share": lost_share})


def clean(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop what the allocation needed; cost_line and cost_per_transaction stay."""
    for table in (
        "cost_pool",
        "cost_pool_layer",
        "cost_low",
        "cost_address",
        "cost_network",
        "cost_demand",
        "cost_claim",
        "cost_block",
        "cost_pool_line",
    ):
        connection.execute(f"DROP TABLE IF EXISTS temp.{table}")
    for macro in ("cost_upto", "cost_between", "cost_each"):
        connection.execute(f"DROP MACRO IF EXISTS temp.{macro}")
