"""Splits every pool of a bill over root endpoints, layers and services, in SQL.

Money is split by running totals: a claim gets split(cost, claims up to here)
less split(cost, claims before here), each rounded down to 1e-12 dollars. So no
share is negative, and the shares sum to the cost without a remainder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackledger.analysis.costlines import LINES, transactions

if TYPE_CHECKING:
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
  unattributed_use HUGEINT, whole BOOLEAN, ios_limit HUGEINT,
  bytes_limit HUGEINT, key VARCHAR
);
CREATE OR REPLACE TEMP TABLE cost_pool_layer (pool INTEGER, layer VARCHAR);
"""

# One row per root endpoint, layer and service.
_DEMAND = """
CREATE OR REPLACE TEMP TABLE cost_demand AS
SELECT
  COALESCE(endpoint, '') AS endpoint,
  COALESCE(layer, '') AS layer,
  COALESCE(service, '') AS service,
  CAST(MAX(requests) AS HUGEINT) AS requests,
  CAST(COALESCE(SUM(cpu_ns), 0) AS HUGEINT) AS cpu_ns,
  CAST(COALESCE(SUM(disk_ios), 0) AS HUGEINT) AS disk_ios,
  CAST(COALESCE(SUM(disk_bytes), 0) AS HUGEINT) AS disk_bytes,
  CAST(COALESCE(SUM(net_bytes), 0) AS HUGEINT) AS net_bytes
FROM cost_usage
GROUP BY ALL
"""

# One row per pool and claim on it: a layer and service of an endpoint, or, with
# attributed = FALSE, the use that belongs to no request.
_CLAIMS = """
CREATE OR REPLACE TEMP TABLE cost_claim AS
WITH
uses AS (
  SELECT
    pool, endpoint, layer, service, TRUE AS attributed, requests,
    CASE resource
      WHEN 'cpu' THEN cpu_ns
      WHEN 'disk_iops' THEN disk_ios
      WHEN 'disk_throughput' THEN disk_bytes
      WHEN 'network' THEN net_bytes
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
  WHERE key = 'use'
  UNION ALL
  SELECT pool, '', '', '', FALSE, 0, unattributed_use
  FROM cost_pool
  WHERE key = 'use' AND unattributed_use > 0
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
      ORDER BY attributed DESC, endpoint, layer, service
      ROWS UNBOUNDED PRECEDING
    ) AS weight_upto,
    SUM(weight) OVER (PARTITION BY pool) AS weight_all
  FROM weights
)
SELECT
  pool, resource, endpoint, layer, service, attributed, use,
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
    connection: duckdb.DuckDBPyConnection, pools: list[Pool], *, idle: str, lost_share: float
) -> None:
    """Write the temporary tables cost_claim, cost_line and cost_per_transaction."""
    connection.execute(_POOLS)
    layers = [
        row[0] for row in connection.execute("SELECT DISTINCT layer FROM cost_demand").fetchall()
    ]
    for number, pool in enumerate(pools):
        connection.execute(
            "INSERT INTO cost_pool VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                number,
                pool.resource,
                pool.cost_usd,
                pool.capacity,
                pool.unattributed_use,
                pool.whole,
                pool.ios_limit,
                pool.bytes_limit,
                pool.key,
            ],
        )
        for layer in layers if pool.layers is None else sorted(pool.layers):
            connection.execute("INSERT INTO cost_pool_layer VALUES (?, ?)", [number, layer])
    connection.execute(_CLAIMS)
    connection.execute(LINES, {"idle": idle})
    connection.execute(transactions(), {"lost_share": lost_share})


def clean(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop what the allocation needed; cost_line and cost_per_transaction stay."""
    for table in ("cost_pool", "cost_pool_layer", "cost_demand", "cost_claim"):
        connection.execute(f"DROP TABLE IF EXISTS temp.{table}")
    for macro in ("cost_upto", "cost_between", "cost_each"):
        connection.execute(f"DROP MACRO IF EXISTS temp.{macro}")
