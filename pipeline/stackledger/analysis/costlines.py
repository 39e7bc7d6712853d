"""The SQL that turns claims on the pools into lines and costs per transaction.

Runs after `allocation` has written cost_pool, cost_demand and cost_claim. A
line's `basis` says what it goes by: use (at a fixed rate), share (of the use of
all), requests, bytes, direct_cost, or even, which nothing moves.
"""

from __future__ import annotations

from stackledger.analysis.intervals import HALF_WIDTHS

# One row per pool and line of the bill: kind request, idle, tracer or unattributed.
LINES = """
CREATE OR REPLACE TEMP TABLE cost_pool_line AS
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
    FROM cost_claim WHERE kind = 'request' GROUP BY endpoint
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
peaks AS (
  SELECT
    pool, c.endpoint, c.layer, c.service, c.use,
    COALESCE(p.use, 0) AS peak_use,
    SUM(COALESCE(p.use, 0)) OVER (PARTITION BY pool) AS peak_all
  FROM cost_claim AS c
  LEFT JOIN (
    SELECT
      resource, COALESCE(endpoint, '') AS endpoint, COALESCE(layer, '') AS layer,
      COALESCE(service, '') AS service, SUM(use) AS use
    FROM cost_peak GROUP BY ALL
  ) AS p USING (resource, endpoint, layer, service)
  WHERE kind = 'request'
),
rest_claims AS (
  SELECT pool, endpoint, layer, service, use AS weight, 'share' AS basis
  FROM cost_claim JOIN rests USING (pool, resource)
  WHERE kind = 'request' AND key = 'use' AND $idle = 'per_resource_proportional'
  UNION ALL
  -- A pool that the busiest second left alone goes by all of its use.
  SELECT
    pool, endpoint, layer, service,
    CASE WHEN peak_all > 0 THEN peak_use ELSE use END,
    CASE WHEN peak_all > 0 THEN 'even' ELSE 'share' END
  FROM peaks JOIN rests USING (pool)
  WHERE key = 'use' AND $idle = 'peak_weighted'
  UNION ALL
  SELECT pool, endpoint, NULL, NULL, 1, 'even'
  FROM rests CROSS JOIN endpoints
  WHERE key = 'use' AND $idle = 'even'
  UNION ALL
  SELECT
    pool, endpoint, NULL, NULL,
    CASE basis WHEN 'even' THEN 1 WHEN 'requests' THEN requests ELSE weight END,
    basis
  FROM (
    SELECT
      * EXCLUDE (key),
      CASE
        WHEN key <> 'even' AND SUM(weight) OVER (PARTITION BY pool) = 0
          THEN 'requests'
        ELSE key
      END AS basis
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
    pool, resource, key, endpoint, layer, service, basis,
    cost_between(rest_usd, weight_upto, weight, weight_all) AS cost_usd
  FROM running JOIN rests USING (pool)
),
lines AS (
  SELECT
    pool, kind, endpoint, layer, service, resource AS part, resource, basis, cost_usd
  FROM cost_claim
  UNION ALL
  SELECT
    pool, 'request', endpoint, layer, service,
    CASE WHEN key = 'use' THEN 'idle' ELSE 'shared' END, resource, basis, cost_usd
  FROM spread
  UNION ALL
  SELECT
    pool, 'idle', NULL, NULL, NULL, 'idle', resource, 'even',
    rest_usd - COALESCE(spread_usd, 0)
  FROM rests
  LEFT JOIN (
    SELECT pool, SUM(cost_usd) AS spread_usd FROM spread GROUP BY pool
  ) USING (pool)
)
SELECT
  pool,
  kind,
  CASE WHEN kind = 'request' THEN endpoint END AS endpoint,
  NULLIF(layer, '') AS layer,
  NULLIF(service, '') AS service,
  part,
  resource,
  basis,
  CAST(SUM(cost_usd) AS DECIMAL(38, 12)) AS cost_usd
FROM lines
GROUP BY ALL
HAVING SUM(cost_usd) <> 0
"""

# One row per line of the bill, whatever pools it drew on.
MERGED = """
CREATE OR REPLACE TEMP TABLE cost_line AS
SELECT
  * EXCLUDE (pool, cost_usd),
  CAST(SUM(cost_usd) AS DECIMAL(38, 12)) AS cost_usd
FROM cost_pool_line
GROUP BY ALL
"""

# One row per subject: dollars for one of its transactions. cost_low: what the
# lowest of the prices that sources disagree on make of a resource's cost.
_TRANSACTIONS = """
CREATE OR REPLACE TEMP TABLE cost_per_transaction AS
WITH
totals AS (
  SELECT
    d.endpoint,
    d.requests,
    COALESCE(SUM(cost_usd), 0) AS total_usd,
    COALESCE(SUM(CAST(cost_usd * COALESCE(low.share, 1) AS DECIMAL(38, 12))), 0)
      AS low_usd,
    {parts}
  FROM (
    SELECT endpoint, MAX(requests) AS requests FROM cost_demand GROUP BY ALL
  ) AS d
  LEFT JOIN cost_line AS l ON l.kind = 'request' AND l.endpoint = d.endpoint
  LEFT JOIN cost_low AS low ON low.resource = l.resource
  GROUP BY d.endpoint, d.requests
),
figures AS (
  SELECT
    *,
    network_usd + CASE
      WHEN (SELECT BOOL_AND(metered) FROM cost_pool WHERE resource = 'disk_iops' AND cost_usd > 0)
        THEN disk_iops_usd
      ELSE 0
    END AS marginal_usd,
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
  CAST(total_usd AS DECIMAL(38, 12)) AS total_usd,
  -- At most the mean, whichever way the quotient was rounded.
  LEAST(loaded_usd, cost_each(low_usd, requests)) AS loaded_low_usd,
  CAST(GREATEST(0, loaded_usd::DOUBLE - half_usd) AS DECIMAL(38, 18))
    AS statistical_low_usd,
  CAST(loaded_usd::DOUBLE + half_usd AS DECIMAL(38, 18)) AS statistical_high_usd
FROM figures LEFT JOIN ({half_widths}) USING (endpoint)
ORDER BY figures.total_usd DESC, endpoint
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
    return _TRANSACTIONS.format(
        parts=parts, columns=columns, shares=shares, half_widths=HALF_WIDTHS
    )
