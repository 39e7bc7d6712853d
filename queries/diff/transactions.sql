-- transactions   What one side's requests took, as sums per block of its time.
--
-- Answers:  How slow, how often, with how many errors, and where did the time go?
-- Params:   endpoint VARCHAR = NULL (one root endpoint; NULL: all)
-- Returns:  one row per figure and block (0..29, equal parts of the time): a figure is
--           sum(amount) / sum(base) over blocks. kind is latency, endpoint or ledger,
--           subject an endpoint or a layer and its service, unit ns, share or /s
-- Cost:     one pass over the requests
WITH whole AS (
  SELECT from_ts_ns AS begin_ns, dur_ns, dur_ns / 30e9 AS block_s FROM span
), chosen AS (
  SELECT
    r.sock, r.recv_ts_ns, r.endpoint, r.wall_ns,
    coalesce(r.error OR r.status >= 500, false) AS failed,
    least(29, greatest(0, (r.ts_ns - w.begin_ns) * 30 // w.dur_ns))::TINYINT
      AS block
  FROM requests AS r, whole AS w
  WHERE r.parent_sock IS NULL
    AND r.complete
    AND ($endpoint IS NULL OR r.endpoint = $endpoint)
), counted AS (
  SELECT
    CASE WHEN grouping(endpoint) = 0 THEN endpoint END AS subject,
    block,
    count(*) AS n,
    sum(wall_ns) AS wall_ns,
    count(*) FILTER (failed) AS failed
  FROM chosen
  GROUP BY GROUPING SETS ((endpoint, block), (block))
), every_block AS (
  SELECT s.subject, b.block, coalesce(c.n, 0) AS n, w.block_s
  FROM (SELECT DISTINCT subject FROM counted) AS s
  CROSS JOIN range(30) AS b(block)
  CROSS JOIN whole AS w
  LEFT JOIN counted AS c
    ON c.subject IS NOT DISTINCT FROM s.subject AND c.block = b.block
), taken AS (
  SELECT
    s.layer,
    s.service,
    d.block,
    sum(share * cpu_ns) AS cpu,
    sum(share * runq_ns) AS runq,
    sum(share * disk_ns) AS disk,
    sum(share * lock_ns) AS lock,
    sum(share * sleep_ns) AS sleep,
    sum(share * queue_ns) AS queue,
    sum(share * net_ns) AS net,
    sum(share * other_ns) AS other,
    sum(share * untraced_ns) AS untraced,
    sum(share * unexplained_ns) AS unexplained
  FROM spent AS s
  JOIN chosen AS d
    ON d.sock = s.root_sock AND d.recv_ts_ns = s.root_recv_ts_ns
  GROUP BY ALL
), parts AS (
  UNPIVOT taken ON COLUMNS(* EXCLUDE (layer, service, block))
    INTO NAME name VALUE amount
), lines AS (
  SELECT
    -- A layer's usual name says nothing where the service bears it too.
    CASE WHEN layer = service THEN layer ELSE concat_ws(' ', layer, service) END
      AS subject,
    name,
    block,
    sum(amount) AS amount
  FROM parts
  GROUP BY ALL
)
SELECT
  CASE WHEN subject IS NULL THEN 'latency' ELSE 'endpoint' END AS kind,
  subject, 'mean' AS name, 'ns' AS unit, block,
  wall_ns::DOUBLE AS amount, n::DOUBLE AS base
FROM counted
UNION ALL
SELECT
  CASE WHEN subject IS NULL THEN 'latency' ELSE 'endpoint' END,
  subject, 'rate', '/s', block, n, block_s
FROM every_block
UNION ALL
SELECT 'latency', NULL, 'errors', 'share', block, failed, n
FROM counted
WHERE subject IS NULL
UNION ALL
SELECT
  'ledger', l.subject, l.name, 'ns', c.block,
  coalesce(sum(l.amount) FILTER (l.block = c.block), 0), any_value(c.n)
FROM lines AS l
CROSS JOIN (SELECT block, n FROM counted WHERE subject IS NULL) AS c
GROUP BY l.subject, l.name, c.block
ORDER BY ALL
