-- missratio   How often the page cache would miss if it were larger or smaller.
--
-- Needs: page_access, page_reuse, page_cache, cgroup_stat, host_memory, files
--
-- The AET model (Hu and others, "Kinetic modeling of data eviction in cache",
-- 2016): with P(t) the share of accesses whose page is not accessed again
-- within t accesses, a cache that keeps pages for T accesses holds the sum of
-- P(t) for t < T pages, and misses P(T) of them. A page's first access since
-- the recording began says only that its last one is longer ago than that: P
-- is estimated as survival times are, from those too (Kaplan and Meier, by
-- buckets).

CREATE OR REPLACE VIEW cache_domain AS
-- One row per memory cgroup and for the host as a whole.
WITH domains AS (
  SELECT ts_ns, cgroup_id, lookups, writes, untracked, unwalked, max_stride,
    max_clock AS clock
  FROM page_access
  UNION ALL
  SELECT ts_ns, 0, lookups, writes, untracked, unwalked, max_stride,
    max_host_clock
  FROM page_access
), seconds AS (
  SELECT
    cgroup_id,
    ts_ns,
    sum(lookups) AS lookups,
    sum(writes) AS writes,
    sum(untracked) AS untracked,
    sum(unwalked) AS unwalked,
    max(max_stride) AS stride,
    max(clock) AS clock,
    sum(sum(lookups + writes)) OVER (
      PARTITION BY cgroup_id ORDER BY ts_ns
    ) AS so_far
  FROM domains
  GROUP BY cgroup_id, ts_ns
), counted AS (
  SELECT
    cgroup_id,
    sum(lookups)::BIGINT AS lookups,
    sum(writes)::BIGINT AS writes,
    sum(untracked)::BIGINT AS untracked,
    sum(unwalked)::BIGINT AS unwalked,
    max(stride) AS stride,
    -- Two CPUs that add to the clock at once leave one's accesses out.
    coalesce(
      (max(so_far) - min(so_far)) / nullif(max(clock) - min(clock), 0), 1
    )::DOUBLE AS clock_scale
  FROM seconds
  GROUP BY cgroup_id
), named AS (
  SELECT
    memory_cgroup_id AS cgroup_id,
    any_value(cgroup) AS cgroup,
    avg(file_cache_bytes)::BIGINT AS today_bytes
  FROM cgroup_stat
  WHERE memory_cgroup_id IS NOT NULL
  GROUP BY memory_cgroup_id
  UNION ALL
  SELECT 0, '(host)', avg(
    cached_bytes + buffers_bytes - coalesce(shared_bytes, 0)
  )::BIGINT
  FROM host_memory
), home AS (
  -- The memory cgroup of each process.
  SELECT pid, arg_max(cgroup_id, accesses) AS cgroup_id
  FROM (
    SELECT pid, cgroup_id, sum(lookups + writes) AS accesses
    FROM page_access
    GROUP BY pid, cgroup_id
  )
  GROUP BY pid
), read_in AS (
  SELECT h.cgroup_id, sum(c.lookups) AS lookups, sum(c.read_in) AS read_in
  FROM cache_use AS c
  JOIN home AS h USING (pid)
  GROUP BY h.cgroup_id
  UNION ALL
  SELECT 0, sum(lookups), sum(read_in)
  FROM cache_use
)
SELECT
  c.cgroup_id,
  CASE WHEN c.cgroup_id = 1 THEN '/' ELSE n.cgroup END AS cgroup,
  c.lookups,
  c.writes,
  c.untracked,
  c.unwalked,
  c.stride,
  c.clock_scale,
  n.today_bytes,
  -- As cachestat has it: of the larger, for more may be read than is asked for.
  greatest(0, r.read_in)
    / nullif(greatest(r.lookups, r.read_in), 0)::DOUBLE AS measured
FROM counted AS c
LEFT JOIN named AS n USING (cgroup_id)
LEFT JOIN read_in AS r USING (cgroup_id);

CREATE OR REPLACE VIEW miss_ratio_curve AS
-- One row per memory cgroup, part of the sample left out and cache size.
WITH buckets AS (
  SELECT
    r.cgroup_id,
    l.left_out,
    r.distance,
    1::BIGINT << greatest(0, floor(log2(r.distance))::INTEGER - 6) AS width,
    coalesce(sum(r.accesses) FILTER (NOT r.cold), 0)::DOUBLE AS reused,
    sum(r.accesses)::DOUBLE AS sampled,
    coalesce(sum(r.accesses) FILTER (NOT r.write AND NOT r.cold), 0)::DOUBLE
      AS reads_reused,
    coalesce(sum(r.accesses) FILTER (NOT r.write), 0)::DOUBLE AS reads
  FROM page_reuse AS r, range(9) AS l(left_out)
  WHERE r.part <> l.left_out AND r.distance > 0
  GROUP BY r.cgroup_id, l.left_out, r.distance
), risks AS (
  SELECT
    *,
    sum(sampled) OVER further AS at_risk,
    sum(reads) OVER further AS reads_at_risk
  FROM buckets
  WINDOW further AS (PARTITION BY cgroup_id, left_out ORDER BY distance DESC)
), survivals AS (
  SELECT
    *,
    -- Those first seen within the bucket were at risk for half of it.
    product(
      1 - reused / (at_risk - (sampled - reused) / 2)
    ) OVER so_far AS beyond,
    product(
      1 - coalesce(reads_reused
        / nullif(reads_at_risk - (reads - reads_reused) / 2, 0), 0)
    ) OVER so_far AS reads_beyond,
    sum(sampled) OVER whole AS all_sampled,
    sum(reads) OVER whole AS all_reads
  FROM risks
  WINDOW
    whole AS (PARTITION BY cgroup_id, left_out),
    so_far AS (PARTITION BY cgroup_id, left_out ORDER BY distance)
), scales AS (
  SELECT
    cgroup_id,
    clock_scale,
    lookups + writes - unwalked - untracked * stride AS looked_at,
    lookups / (lookups + writes) AS read_share,
    stride
  FROM cache_domain
), shares AS (
  -- A page that everybody reads is in the sample or not: what the sample has
  -- too much or too little of is reuse at once (SHARDS-adj, Waldspurger, 2015).
  SELECT
    s.*,
    d.clock_scale,
    least(1, s.beyond * s.all_sampled * d.stride * f.factor
      / nullif(d.looked_at, 0)) AS kept,
    least(1, s.reads_beyond * s.all_reads * d.stride * f.factor
      / nullif(d.looked_at * d.read_share, 0)) AS miss_ratio
  FROM survivals AS s
  JOIN scales AS d USING (cgroup_id),
    LATERAL (
      SELECT CASE WHEN s.left_out = 8 THEN 1 ELSE 8 / 7 END AS factor
    ) AS f
), widths AS (
  SELECT
    *,
    coalesce(lag(kept) OVER so_far, 1) AS kept_before,
    distance - coalesce(lag(distance + width) OVER so_far, 0) AS gap
  FROM shares
  WINDOW so_far AS (PARTITION BY cgroup_id, left_out ORDER BY distance)
)
SELECT
  cgroup_id,
  left_out,
  distance,
  4096 * sum(
    clock_scale * (gap * kept_before + width * (kept_before + kept) / 2)
  ) OVER (PARTITION BY cgroup_id, left_out ORDER BY distance) AS cache_bytes,
  miss_ratio,
  reads_at_risk
FROM widths
-- Of fewer nothing can be said: the recording was too short for larger sizes.
QUALIFY reads_at_risk >= 30;

CREATE OR REPLACE VIEW miss_ratio_today AS
-- One row per memory cgroup with a curve, and for the host: today's cache.
SELECT
  d.cgroup_id,
  d.cgroup,
  d.lookups,
  d.today_bytes,
  d.measured,
  arg_max(c.miss_ratio, c.cache_bytes) FILTER (
    WHERE c.cache_bytes <= d.today_bytes
      AND d.today_bytes <= whole.largest_bytes
  ) AS predicted,
  CASE
    WHEN predicted > 0 THEN coalesce(d.measured / predicted, 1)
    ELSE 1
  END::DOUBLE AS correction,
  ceil(any_value(whole.largest_bytes))::BIGINT AS largest_bytes,
  any_value(
    least(1, (d.unwalked + d.untracked * d.stride) / (d.lookups + d.writes))
  ) AS unseen
FROM cache_domain AS d
JOIN miss_ratio_curve AS c USING (cgroup_id)
JOIN (
  SELECT cgroup_id, max(cache_bytes) AS largest_bytes
  FROM miss_ratio_curve
  WHERE left_out = 8
  GROUP BY cgroup_id
) AS whole USING (cgroup_id)
WHERE c.left_out = 8
GROUP BY d.cgroup_id, d.cgroup, d.lookups, d.today_bytes, d.measured;

COMMENT ON VIEW cache_domain IS
  'one row per memory cgroup that accessed cached pages, and for the host';
COMMENT ON COLUMN cache_domain.cgroup_id IS 'inode of its folder; 0 the host';
COMMENT ON COLUMN cache_domain.cgroup IS
  'path, NULL where it is unknown; (host)';
COMMENT ON COLUMN cache_domain.lookups IS
  'pages · asked for by reads and page faults';
COMMENT ON COLUMN cache_domain.writes IS 'pages · made dirty by writes';
COMMENT ON COLUMN cache_domain.untracked IS
  'pages · in the sample, but there was no room to remember them';
COMMENT ON COLUMN cache_domain.unwalked IS
  'pages · not looked at, of very long reads';
COMMENT ON COLUMN cache_domain.stride IS 'one page of so many is in the sample';
COMMENT ON COLUMN cache_domain.clock_scale IS
  'accesses counted for each that the clock of distances counted';
COMMENT ON COLUMN cache_domain.today_bytes IS
  'bytes · of files in its memory on average, NULL where unknown';
COMMENT ON COLUMN cache_domain.measured IS
  '0..1 · pages read from the disk of those asked for; NULL without page_cache';
COMMENT ON VIEW miss_ratio_curve IS
  'one row per memory cgroup, part left out of the sample and cache size';
COMMENT ON COLUMN miss_ratio_curve.cgroup_id IS
  'inode of its folder; 0 the host';
COMMENT ON COLUMN miss_ratio_curve.left_out IS
  'eighth of the sample that is left out; 8: none, the curve itself';
COMMENT ON COLUMN miss_ratio_curve.distance IS
  'accesses for which a page is kept';
COMMENT ON COLUMN miss_ratio_curve.cache_bytes IS
  'bytes · of the cache that does';
COMMENT ON COLUMN miss_ratio_curve.miss_ratio IS
  '0..1 · of pages asked for, as a least-recently-used cache, not corrected';
COMMENT ON COLUMN miss_ratio_curve.reads_at_risk IS
  'sampled reads that tell of so long a time';
COMMENT ON VIEW miss_ratio_today IS
  'one row per memory cgroup with a curve, and for the host: today''s cache';
COMMENT ON COLUMN miss_ratio_today.cgroup_id IS
  'inode of its folder; 0 the host';
COMMENT ON COLUMN miss_ratio_today.cgroup IS
  'path, NULL where it is unknown; (host)';
COMMENT ON COLUMN miss_ratio_today.lookups IS 'pages · asked for';
COMMENT ON COLUMN miss_ratio_today.today_bytes IS
  'bytes · of files in its memory';
COMMENT ON COLUMN miss_ratio_today.measured IS
  '0..1 · measured, NULL without page_cache';
COMMENT ON COLUMN miss_ratio_today.predicted IS
  '0..1 · of the model at that size';
COMMENT ON COLUMN miss_ratio_today.correction IS
  'measured over predicted, 1 where one is missing';
COMMENT ON COLUMN miss_ratio_today.largest_bytes IS
  'bytes · of larger caches the recording is too short to tell';
COMMENT ON COLUMN miss_ratio_today.unseen IS
  '0..1 · of accesses: unwalked, or untracked pages'' as far as the sample tells';
