-- cache_small   The page cache is too small: what fell out is read again.
--
-- Version:   2
-- Title:     {service} reads from {object} what has fallen out of the page
--            cache
-- Resource:  disk
-- Threshold: a quarter of what is read had been in the page cache until reclaim
--            took it (refaults of its cgroup, or of the host without one), or
--            is from a place that was read before in this capture
-- Unit:      share
-- Needs:     request, block_io
-- Refines:   disk_wait, disk_rate, disk_limit, cache_cold, memory_pressure
-- Certainty: 0.9
-- Evidence:  stackledger query cachestat
-- Next:      more memory for the cache: record --probe page_cache --probe
--            page_reuse, then stackledger query missratio says how often it
--            would miss with twice as much; a faster disk shortens each read
-- Cost:      one pass over block_io, process_stat and cgroup_stat
WITH reads AS (
  SELECT
    b.dev,
    b.bytes,
    b.pid IN (SELECT pid FROM process_layer) AS own,
    row_number() OVER (
      PARTITION BY b.dev, b.sector ORDER BY b.ts_ns
    ) > 1 AS again
  FROM block_io AS b
  WHERE b.rwbs LIKE 'R%' AND b.bytes > 0
), disks AS (
  -- Below a disk there may be another, whose reads are the kernel's.
  SELECT
    dev,
    count(*) AS reads,
    count(*) FILTER (again) / count(*) AS again_share,
    sum(bytes) AS bytes
  FROM reads
  GROUP BY dev
  ORDER BY count(*) FILTER (own) DESC, reads DESC, dev
  LIMIT 1
), home AS (
  SELECT pid, any_value(cgroup) AS cgroup
  FROM process
  GROUP BY pid
), read_by AS (
  SELECT h.cgroup, s.pid, sum(s.read_bytes) AS bytes
  FROM process_stat AS s
  LEFT JOIN home AS h USING (pid)
  GROUP BY ALL
), fell AS (
  -- Refaults and reads, both of each cgroup; '' is the host.
  SELECT c.cgroup, c.refaults, sum(b.bytes) AS bytes
  FROM (
    SELECT cgroup, sum(refaults) AS refaults FROM cgroup_stat GROUP BY cgroup
  ) AS c
  JOIN read_by AS b USING (cgroup)
  WHERE c.refaults IS NOT NULL
  GROUP BY ALL
  UNION ALL
  SELECT '', (SELECT sum(refaults) FROM host_memory), sum(bytes)
  FROM read_by
), again AS (
  SELECT
    l.layer,
    l.service,
    sum(f.refaults) AS refaults,
    -- Of NULL and 1, the lesser would be 1.
    CASE
      WHEN sum(f.refaults) IS NOT NULL AND sum(f.bytes) > 0
        THEN least(1, 4096 * sum(f.refaults) / sum(f.bytes))
    END AS share
  FROM (
    SELECT DISTINCT
      l.layer,
      l.service,
      CASE WHEN b.cgroup IN (SELECT cgroup FROM fell) THEN b.cgroup ELSE '' END
        AS cgroup
    FROM read_by AS b
    JOIN process_layer AS l USING (pid)
    WHERE b.bytes > 0
  ) AS l
  JOIN fell AS f USING (cgroup)
  GROUP BY ALL
), cache AS (
  SELECT avg(cached_bytes) AS bytes FROM host_memory
), busiest AS (
  SELECT dev, max((reads + writes) * 1e9 / interval_ns) AS iops
  FROM host_disk
  WHERE interval_ns > 500000000
  GROUP BY dev
)
SELECT
  p.layer,
  p.service,
  coalesce(n.name, (d.dev >> 20) || ':' || (d.dev & 1048575)) AS object,
  p.explained_ns,
  p.typical_ns,
  NULL AS severity,
  greatest(d.again_share, a.share) AS measured,
  0.25 AS threshold,
  [
    figure('reads from the disk', d.reads, 'reads'),
    figure('read again after reclaim had taken them', a.refaults, 'pages'),
    figure('of what was read', a.share, 'share'),
    figure('of a place read before in this capture', d.again_share, 'share'),
    figure('read', d.bytes, 'bytes'),
    figure('the disk did, in its busiest second', b.iops, '/s'),
    figure('page cache of the host', c.bytes, 'bytes')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM spent_part AS p
LEFT JOIN again AS a USING (layer, service), disks AS d, cache AS c
LEFT JOIN disk AS n ON n.dev = d.dev
LEFT JOIN busiest AS b ON b.dev = d.dev
WHERE p.part = 'disk' AND d.reads >= 50
  AND (d.again_share >= 0.25 OR a.share >= 0.25)
ORDER BY p.explained_ns DESC, p.layer, p.service
