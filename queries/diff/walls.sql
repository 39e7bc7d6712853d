-- walls   How long one side's requests took, as a histogram per block of its time.
--
-- Answers:  Of what would a percentile be, had the blocks fallen otherwise?
-- Params:   endpoint VARCHAR = NULL (one root endpoint; NULL: all)
-- Returns:  one row per root endpoint (the ten most frequent; NULL: all together), block
--           (0..29) and bucket: how many requests took exp(bucket / 100) ns, within
--           half a percent
-- Cost:     one pass over the roots
WITH frequent AS (
  SELECT endpoint
  FROM roots
  WHERE complete AND ($endpoint IS NULL OR endpoint = $endpoint)
  GROUP BY endpoint
  ORDER BY count(*) DESC, endpoint
  LIMIT 10
), chosen AS (
  SELECT
    r.endpoint,
    least(29, greatest(0, (r.ts_ns - s.from_ts_ns) * 30 // s.dur_ns))::TINYINT
      AS block,
    round(ln(greatest(1, r.wall_ns)) * 100)::SMALLINT AS bucket
  FROM roots AS r, span AS s
  WHERE r.complete AND ($endpoint IS NULL OR r.endpoint = $endpoint)
)
SELECT
  CASE WHEN grouping(endpoint) = 0 THEN endpoint END AS subject,
  block,
  bucket,
  count(*) AS n
FROM chosen
GROUP BY GROUPING SETS ((endpoint, block, bucket), (block, bucket))
HAVING grouping(endpoint) = 1 OR endpoint IN (SELECT endpoint FROM frequent)
ORDER BY ALL
