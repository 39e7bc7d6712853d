-- biolatency   Block I/O latency as a histogram.
--
-- Answers:  How are the disk's latencies distributed, queue included?
-- Params:   disk VARCHAR = NULL (one disk by name; NULL: all)
--           each VARCHAR = disk,kind (a histogram for each disk and kind; disk, kind, or all)
-- Returns:  one row per disk, kind (T: R, W, F or D; "all" where they are taken
--           together) and power of two: from_ns up to but not including to_ns, the
--           I/Os in it, and their share of that histogram
-- Cost:     one pass over block_io
WITH timed AS (
  SELECT
    coalesce(d.name, (b.dev >> 20) || ':' || (b.dev & 1048575)) AS disk,
    b.rwbs[1] AS t,
    greatest(1, coalesce(b.queue_ns, 0) + b.device_ns) AS latency_ns
  FROM block_io AS b
  LEFT JOIN disk AS d USING (dev)
  WHERE b.device_ns IS NOT NULL
), buckets AS (
  SELECT
    CASE WHEN contains($each, 'disk') THEN disk ELSE 'all' END AS disk,
    CASE WHEN contains($each, 'kind') THEN t ELSE 'all' END AS t,
    floor(log2(latency_ns))::INTEGER AS bucket,
    count(*) AS ios
  FROM timed
  WHERE $disk IS NULL OR timed.disk = $disk
  GROUP BY ALL
)
SELECT
  disk,
  t,
  (2 ** bucket)::BIGINT AS from_ns,
  (2 ** (bucket + 1))::BIGINT AS to_ns,
  ios,
  ios / sum(ios) OVER (PARTITION BY disk, t) AS ios_share
FROM buckets
ORDER BY disk, t, from_ns
