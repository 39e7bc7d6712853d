"""The SQL that turns claims on the pools into lines and costs per transaction.

Runs after `allocation` has written cost_pool, cost_demand and cost_claim.
"""

from __future__ import annotations

# One row per line of the bill: kind request, idle or unattributed.
LINES = """
CREATE OR REPLACE TEMP TABLE cost_line AS
WITH
endpoints AS (
  SELECT
    d.endpoint,
    MAX(d.requests) AS requests,
    SUM(d.net_bytes) AS net_bytes,
    ANY_VALUE(COALESCE(c.cost_usd, 0)) AS direct_usd
  FROM cost_demand AS d
  LEFT JOIN (
    SELECT endpoint, SUM(cost_usd) AS cost_usd
    FROM cost_claim WHERE attributed GROUP BY endpoint
  ) AS c USING (endpoint)
  GROUP BY d.endpoint
),
rests AS (
  SELECT pool, resource, key, cost_usd - COALESCE(claimed_usd, 0) AS rest_usd
  FROM cost_pool
  LEFT JOIN (
    SELECT pool, SUM(cost_usd) AS claimed_usd FROM cost_claim GROUP BY pool
  ) USING (pool)
),
rest_claims AS (
  SELECT pool, endpoint, layer, service, use AS weight
  FROM cost_claim JOIN rests USING (pool, resource)
  WHERE attributed AND key = 'use' AND $idle = 'per_resource_proportional'
  UNION ALL
  SELECT pool, endpoint, NULL, NULL, 1
  FROM rests CROSS JOIN endpoints
  WHERE key = 'use' AND $idle = 'even'
  UNION ALL
  SELECT
    pool, endpoint, NULL, NULL,
    CASE
      WHEN key = 'even' THEN 1
      WHEN key = 'requests' OR SUM(weight) OVER (PARTITION BY pool) = 0
        THEN requests
      ELSE weight
    END
  FROM (
    SELECT
      *,
      CASE key
        WHEN 'bytes' THEN net_bytes
        WHEN 'direct_cost' THEN CAST(direct_usd * 1000000000000 AS HUGEINT)
        ELSE 1
      END AS weight
    FROM rests CROSS JOIN endpoints
    WHERE key <> 'use'
  )
),
running AS (
  SELECT
    *,
    SUM(weight) OVER (
      PARTITION BY pool ORDER BY endpoint, layer, service
      ROWS UNBOUNDED PRECEDING
    ) AS weight_upto,
    NULLIF(SUM(weight) OVER (PARTITION BY pool), 0) AS weight_all
  FROM rest_claims
),
spread AS (
  SELECT
    pool, resource, key, endpoint, layer, service,
    cost_between(rest_usd, weight_upto, weight, weight_all) AS cost_usd
  FROM running JOIN rests USING (pool)
),
lines AS (
  SELECT
    CASE WHEN attributed THEN 'request' ELSE 'unattributed' END AS kind,
    endpoint, layer, service, resource AS part, resource, cost_usd
  FROM cost_claim
  UNION ALL
  SELECT
    'request', endpoint, layer, service,
    CASE WHEN key = 'use' THEN 'idle' ELSE 'shared' END, resource, cost_usd
  FROM spread
  UNION ALL
  SELECT
    'idle', NULL, NULL, NULL, 'idle', resource,
    rest_usd - COALESCE(spread_usd, 0)
  FROM rests
  LEFT JOIN (
    SELECT pool, SUM(cost_usd) AS spread_usd FROM spread GROUP BY pool
  ) USING (pool)
)
SELECT
  kind,
  CASE WHEN kind = 'request' THEN endpoint END AS endpoint,
  NULLIF(layer, '') AS layer,
  NULLIF(service, '') AS service,
  part,
  resource,
  CAST(SUM(cost_usd) AS DECIMAL(38, 12)) AS cost_usd
FROM lines
GROUP BY ALL
HAVING SUM(cost_usd) <> 0
"""

# One row per root endpoint: dollars for one of its transactions.
_TRANSACTIONS = """
CREATE OR REPLACE TEMP TABLE cost_per_transaction AS
WITH
totals AS (
  SELECT
    d.endpoint,
    d.requests,
    COALESCE(SUM(cost_usd), 0) AS total_usd,
    {parts}
  FROM (
    SELECT endpoint, MAX(requests) AS requests FROM cost_demand GROUP BY ALL
  ) AS d
  LEFT JOIN cost_line AS l ON l.kind = 'request' AND l.endpoint = d.endpoint
  GROUP BY d.endpoint, d.requests
),
figures AS (
  SELECT
    *,
    network_usd AS marginal_usd,
    cpu_usd + memory_usd + disk_capacity_usd + disk_iops_usd
      + disk_throughput_usd + network_usd AS direct_usd,
    cpu_usd + memory_usd + disk_capacity_usd + disk_iops_usd
      + disk_throughput_usd + network_usd + shared_usd + idle_usd AS loaded_usd
  FROM totals
)
SELECT
  endpoint,
  CAST(requests AS BIGINT) AS requests,
  marginal_usd,
  direct_usd,
  loaded_usd,
  -- Lost events are use that nobody saw. The quotient is a DOUBLE, and may come
  -- out a little below what was divided.
  CASE
    WHEN $lost_share = 0 THEN loaded_usd
    WHEN $lost_share < 1 THEN greatest(
      loaded_usd, CAST(loaded_usd / (1 - $lost_share) AS DECIMAL(38, 18)))
  END AS loaded_high_usd,
  {columns},
  {shares},
  CAST(total_usd AS DECIMAL(38, 12)) AS total_usd
FROM figures
ORDER BY total_usd DESC, endpoint
"""

PARTS = (
    "cpu",
    "memory",
    "disk_capacity",
    "disk_iops",
    "disk_throughput",
    "network",
    "shared",
    "idle",
)


def transactions() -> str:
    """Return the statement that writes cost_per_transaction, one row per root endpoint."""
    parts = ",\n    ".join(
        f"cost_each(COALESCE(SUM(cost_usd) FILTER (part = '{part}'), 0), requests) AS {part}_usd"
        for part in PARTS
    )
    columns = ",\n  ".join(f"{part}_usd" for part in PARTS)
    shares = ",\n  ".join(
        f"COALESCE({part}_usd / NULLIF(loaded_usd, 0), 0) AS {part}_share" for part in PARTS
    )
    return _TRANSACTIONS.format(parts=parts, columns=columns, shares=shares)
