"""The statistical interval of a mean cost per transaction, from blocks of the window.

The window is cut into BLOCKS of equal length. With X_b what a subject's
transactions cost in block b and N_b how many there were, the mean is the ratio
c = sum(X) / sum(N), and its jackknife error, each block left out once,

    se(c) = sqrt((B - 1) / B * sum(((X_b - c * N_b) / (sum(N) - N_b))^2))

The 95 % interval is c +- t(B - 1) * se(c). Blocks, not transactions, are what is
independent: neighbours in time share a load (W. G. Cochran, Sampling
Techniques, 3rd edition, chapter 6). The plain linearised error, which divides
by sum(N), covers 92 % where a fifth of the blocks hold half of the requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

# The SQL below has these as numbers.
BLOCKS = 30
# With fewer blocks that hold a transaction, intervals cover too seldom.
FEWEST = 20

# One row per subject and block: what its transactions there cost. What is priced by use
# goes by the use; a share of a fixed cost also falls where others use more.
_BLOCKS = """
CREATE OR REPLACE TEMP TABLE cost_block AS
WITH
parts AS (
  SELECT
    COALESCE(endpoint, '') AS endpoint,
    COALESCE(layer, '') AS layer,
    COALESCE(service, '') AS service,
    block,
    SUM(cpu_ns)::DOUBLE AS cpu,
    SUM(disk_ios)::DOUBLE AS disk_capacity,
    SUM(disk_ios)::DOUBLE AS disk_iops,
    SUM(disk_bytes)::DOUBLE AS disk_throughput,
    SUM(net_bytes)::DOUBLE AS network
  FROM cost_part
  GROUP BY ALL
),
uses AS (
  UNPIVOT parts ON cpu, disk_capacity, disk_iops, disk_throughput, network
    INTO NAME resource VALUE use
),
own AS (
  SELECT resource, endpoint, layer, service, SUM(use) AS own_use
  FROM uses GROUP BY ALL HAVING SUM(use) > 0
),
everyone AS (
  SELECT resource, block, use / SUM(use) OVER (PARTITION BY resource) AS share
  FROM (SELECT resource, block, SUM(use) AS use FROM uses GROUP BY ALL)
  WHERE resource IN (SELECT resource FROM own)
),
counts AS (
  SELECT COALESCE(endpoint, '') AS endpoint, block, SUM(requests)::DOUBLE AS requests
  FROM cost_count GROUP BY ALL
),
lines AS (
  SELECT
    endpoint, COALESCE(layer, '') AS layer, COALESCE(service, '') AS service,
    part, resource, basis, SUM(cost_usd)::DOUBLE AS cost
  FROM cost_line WHERE kind = 'request' GROUP BY ALL
),
used AS (
  SELECT endpoint, block, part, basis, resource, cost, cost * use / own_use AS cost_there
  FROM lines
  JOIN own USING (resource, endpoint, layer, service)
  JOIN uses USING (resource, endpoint, layer, service)
  WHERE basis IN ('use', 'share')
),
weights AS (
  SELECT 'requests' AS basis, endpoint, block, requests AS weight FROM counts
  UNION ALL
  SELECT 'bytes', endpoint, block, SUM(network) FROM parts GROUP BY ALL
  UNION ALL
  SELECT 'direct_cost', endpoint, block, SUM(cost_there)
  FROM used WHERE part = resource GROUP BY ALL
),
shared AS (
  SELECT
    endpoint, block,
    weight / NULLIF(SUM(weight) OVER (PARTITION BY basis, endpoint), 0)
      - SUM(weight) OVER (PARTITION BY basis, block)
      / NULLIF(SUM(weight) OVER (PARTITION BY basis), 0) AS more, basis
  FROM weights
),
terms AS (
  SELECT endpoint, block, cost_there AS cost FROM used
  UNION ALL
  SELECT o.endpoint, e.block, -o.cost * e.share
  FROM (
    SELECT endpoint, resource, SUM(cost) AS cost
    FROM lines JOIN own USING (resource, endpoint, layer, service)
    WHERE basis = 'share' GROUP BY ALL
  ) AS o
  JOIN everyone AS e USING (resource)
  UNION ALL
  SELECT endpoint, block, cost * COALESCE(more, 0)
  FROM lines JOIN shared USING (basis, endpoint)
  UNION ALL
  SELECT endpoint, block, cost / 30
  FROM lines CROSS JOIN (SELECT UNNEST(range(30)) AS block)
  WHERE basis <> 'use'
)
SELECT
  e.endpoint, b.block,
  COALESCE(ANY_VALUE(c.requests), 0) AS requests,
  COALESCE(SUM(t.cost), 0) AS cost
FROM (SELECT DISTINCT endpoint FROM counts) AS e
CROSS JOIN (SELECT UNNEST(range(30)) AS block) AS b
LEFT JOIN counts AS c USING (endpoint, block)
LEFT JOIN terms AS t USING (endpoint, block)
GROUP BY ALL
"""

# One row per subject; NULL where it has transactions in too few blocks. 2.045 is Student's t
# for 29 degrees of freedom, two-sided, 95 %.
HALF_WIDTHS = """
WITH totals AS (
  SELECT
    endpoint, SUM(cost) / NULLIF(SUM(requests), 0) AS mean, SUM(requests) AS n,
    COUNT(*) FILTER (requests > 0) AS filled
  FROM cost_block GROUP BY endpoint
)
SELECT
  endpoint,
  CASE WHEN ANY_VALUE(filled) >= 20 THEN
    2.0452296421 * sqrt((30 - 1) / 30
      * SUM(((cost - mean * requests) / (n - requests)) ** 2))
  END AS half_usd
FROM cost_block JOIN totals USING (endpoint)
GROUP BY endpoint
"""


def write_blocks(connection: duckdb.DuckDBPyConnection) -> None:
    """Write the temporary table `cost_block`: one row per subject and block of the window.

    Reads cost_part, cost_count and cost_line.
    """
    connection.execute(_BLOCKS)
