-- compare   Two sides' figures, their change, and how far chance alone would move it.
--
-- Answers:  What changed from one side to the other, and is it more than noise?
-- Params:   none
-- Returns:  one row per figure of either side (NULL: the other has none): before, after,
--           the 2.5th and 97.5th percentile of the change over the draws, and the
--           smaller number of blocks with something in them. Blocks, not requests, are
--           drawn again: neighbours in time share a load
-- Cost:     draws times the rows of `sample` and `wall`
WITH told AS (
  SELECT
    side, kind, subject, name, unit,
    sum(amount) / nullif(sum(base), 0) AS value,
    count(*) FILTER (base > 0) AS blocks
  FROM sample
  GROUP BY ALL
), drawn AS (
  SELECT
    s.side, s.kind, s.subject, s.name, d.draw,
    sum(d.weight * s.amount) / nullif(sum(d.weight * s.base), 0) AS value
  FROM sample AS s
  JOIN draws AS d USING (side, block)
  GROUP BY ALL
), again AS (
  SELECT w.side, w.subject, d.draw, w.bucket, sum(d.weight * w.n) AS n
  FROM wall AS w
  JOIN draws AS d USING (side, block)
  GROUP BY ALL
), ranked AS (
  SELECT
    side, subject, draw, bucket,
    sum(n) OVER later AS upto,
    sum(n) OVER (PARTITION BY side, subject, draw) AS total
  FROM again
  WINDOW later AS (PARTITION BY side, subject, draw ORDER BY bucket)
), percentiles AS (
  SELECT
    r.side, r.subject, q.name, r.draw,
    exp(min(r.bucket) FILTER (r.upto >= q.share * r.total) / 100) AS value
  FROM ranked AS r
  CROSS JOIN (VALUES ('p50', 0.5), ('p95', 0.95), ('p99', 0.99)) AS q(name, share)
  GROUP BY ALL
), sizes AS (
  SELECT side, subject, count(DISTINCT block) AS blocks FROM wall GROUP BY ALL
), every_draw AS (
  SELECT * FROM drawn
  UNION ALL
  SELECT
    side, CASE WHEN subject IS NULL THEN 'latency' ELSE 'endpoint' END, subject,
    name, draw, value
  FROM percentiles
), every_value AS (
  SELECT * FROM told
  UNION ALL
  SELECT
    e.side, CASE WHEN e.subject IS NULL THEN 'latency' ELSE 'endpoint' END,
    e.subject, e.name, 'ns', e.value, coalesce(z.blocks, 0)
  FROM exact AS e
  LEFT JOIN sizes AS z
    ON z.side = e.side AND z.subject IS NOT DISTINCT FROM e.subject
), changes AS (
  SELECT
    b.kind, b.subject, b.name,
    quantile_cont(a.value - b.value, 0.025) AS low,
    quantile_cont(a.value - b.value, 0.975) AS high
  FROM every_draw AS b
  JOIN every_draw AS a
    ON a.kind = b.kind AND a.subject IS NOT DISTINCT FROM b.subject
    AND a.name = b.name AND a.draw = b.draw
  WHERE b.side = 'before' AND a.side = 'after'
  GROUP BY ALL
), both_sides AS (
  SELECT
    kind, subject, name, any_value(unit) AS unit,
    any_value(value) FILTER (side = 'before') AS before,
    any_value(value) FILTER (side = 'after') AS after,
    coalesce(any_value(blocks) FILTER (side = 'before'), 0) AS blocks_before,
    coalesce(any_value(blocks) FILTER (side = 'after'), 0) AS blocks_after
  FROM every_value
  GROUP BY kind, subject, name
)
SELECT
  v.kind, v.subject, v.name, v.unit, v.before, v.after, c.low, c.high,
  least(v.blocks_before, v.blocks_after) AS blocks
FROM both_sides AS v
LEFT JOIN changes AS c
  ON c.kind = v.kind AND c.subject IS NOT DISTINCT FROM v.subject
  AND c.name = v.name
WHERE v.before IS NOT NULL OR v.after IS NOT NULL
ORDER BY v.kind, v.subject, v.name
