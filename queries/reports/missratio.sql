-- missratio   How often the page cache would miss if it were smaller or larger.
--
-- Answers:  Would more memory for the cache help, and how much?
-- Params:   cgroup VARCHAR = NULL (path of a memory cgroup; NULL: all)
-- Returns:  per memory cgroup, and for the host as a whole, a row for today's
--           size and for multiples of it: cache_bytes; miss_ratio (0..1 of the
--           pages asked for) between low and high (95 %, of the sample,
--           widened by unseen); measured, today's; correction, measured over
--           the model's today, by which all were multiplied; unseen, the share
--           of accesses that could not be followed. miss_ratio is NULL where
--           the recording is too short to tell: it is between low and high.
--           Where today's size is unknown, parts of the largest cache that it
--           tells of. Needs --probe page_reuse, and page_cache for measured.
--           See docs/files.md
-- Cost:     one pass over page_reuse, page_access and page_cache
WITH today AS (
  SELECT *, coalesce(today_bytes, largest_bytes) AS unit_bytes
  FROM miss_ratio_today
  WHERE ($cgroup IS NULL OR cgroup = $cgroup) AND lookups >= 1000
), sizes AS (
  SELECT t.*, s.size, (t.unit_bytes * s.times)::BIGINT AS cache_bytes
  FROM today AS t, (
    VALUES ('1/4', 0.25), ('1/2', 0.5), ('today', 1),
      ('x 2', 2), ('x 4', 4), ('x 8', 8)
  ) AS s(size, times)
  WHERE t.today_bytes IS NOT NULL OR s.times <= 1
), models AS (
  -- The last point of a curve that the size reaches, before the first all miss.
  SELECT
    s.cgroup_id,
    s.size,
    l.left_out,
    coalesce(arg_max(c.miss_ratio, c.cache_bytes), 1) AS model
  FROM sizes AS s
  CROSS JOIN range(9) AS l(left_out)
  LEFT JOIN miss_ratio_curve AS c
    ON c.cgroup_id = s.cgroup_id AND c.left_out = l.left_out
    AND c.cache_bytes <= s.cache_bytes
  GROUP BY s.cgroup_id, s.size, l.left_out
), ratios AS (
  -- Each curve is corrected by itself.
  SELECT
    m.cgroup_id,
    m.size,
    m.left_out,
    least(1, m.model * CASE
      WHEN s.predicted > 0 THEN coalesce(s.measured / nullif(t.model, 0), 1)
      ELSE 1
    END) AS miss_ratio
  FROM models AS m
  JOIN models AS t
    ON t.cgroup_id = m.cgroup_id
    AND t.left_out = m.left_out
    AND t.size = 'today'
  JOIN today AS s ON s.cgroup_id = m.cgroup_id
), bands AS (
  SELECT
    cgroup_id,
    size,
    any_value(miss_ratio) FILTER (WHERE left_out = 8) AS miss_ratio,
    -- Jackknife over eighths of the sample, by Student's t of 7 degrees.
    2.365 * 7 / sqrt(8) * stddev_samp(
      miss_ratio ORDER BY left_out
    ) FILTER (WHERE left_out < 8) AS half
  FROM ratios
  GROUP BY cgroup_id, size
)
SELECT
  coalesce(s.cgroup, '#' || s.cgroup_id) AS cgroup,
  CASE
    WHEN s.today_bytes IS NULL AND s.size = 'today' THEN 'largest'
    ELSE s.size
  END AS size,
  s.cache_bytes,
  CASE
    WHEN s.cache_bytes <= s.largest_bytes THEN b.miss_ratio
  END AS miss_ratio,
  CASE
    WHEN s.cache_bytes <= s.largest_bytes
      THEN greatest(0, b.miss_ratio - b.half) * (1 - s.unseen)
    ELSE 0
  END AS low,
  -- A larger cache misses no more than what was measured, whatever the model.
  CASE
    WHEN s.predicted IS NULL AND s.cache_bytes >= s.today_bytes
      THEN coalesce(s.measured, least(1, b.miss_ratio + b.half))
    ELSE least(1, b.miss_ratio + b.half) * (1 - s.unseen) + s.unseen
  END AS high,
  CASE WHEN s.size = 'today' THEN s.measured END AS measured,
  s.correction,
  s.unseen
FROM sizes AS s
JOIN bands AS b USING (cgroup_id, size)
ORDER BY s.cgroup_id, s.cache_bytes
