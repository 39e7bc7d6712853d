-- biodepth   I/Os in flight over time, per disk.
--
-- Answers:  How deep is the disk's queue, when, and where do the I/Os wait?
-- Params:   disk VARCHAR = NULL (one disk by name; NULL: all)
--           interval_ms BIGINT = 1000 (length of a row's interval)
-- Returns:  one row per interval (ts_ns: its begin) and disk: I/Os completed in it,
--           the mean and the highest number in flight, and the mean of those that
--           were on the device. Of I/Os that completed within the time range
-- Cost:     block_io is sorted by its begins and ends
WITH io AS (
  SELECT
    coalesce(d.name, (b.dev >> 20) || ':' || (b.dev & 1048575)) AS disk,
    b.ts_ns - b.device_ns - coalesce(b.queue_ns, 0) AS begin_ts_ns,
    b.ts_ns - b.device_ns AS issue_ts_ns,
    b.ts_ns AS end_ts_ns
  FROM block_io AS b
  LEFT JOIN disk AS d USING (dev)
  -- What has no sector waits for a flush: it is not in the device's queue.
  WHERE b.device_ns IS NOT NULL AND b.rwbs <> 'FWS'
), step AS (
  SELECT
    from_ts_ns,
    until_ts_ns,
    greatest(1, $interval_ms) * 1000000 AS step_ns
  FROM span
), change AS (
  SELECT disk, begin_ts_ns AS at_ts_ns, 1 AS depth, 0 AS device_depth, 0 AS ios
  FROM io
  UNION ALL
  SELECT disk, issue_ts_ns, 0, 1, 0 FROM io
  UNION ALL
  SELECT disk, end_ts_ns, -1, -1, 1 FROM io
  UNION ALL
  -- Nothing changes where an interval begins, but it is cut there.
  SELECT disk, unnest(range(from_ts_ns, until_ts_ns, step_ns)), 0, 0, 0
  FROM (SELECT DISTINCT disk FROM io), step
  UNION ALL
  SELECT disk, until_ts_ns, 0, 0, 0 FROM (SELECT DISTINCT disk FROM io), step
), changes AS (
  SELECT
    disk, at_ts_ns, sum(depth) AS depth, sum(device_depth) AS device_depth,
    sum(ios) AS ios
  FROM change
  WHERE $disk IS NULL OR disk = $disk
  GROUP BY disk, at_ts_ns
), course AS (
  SELECT
    disk,
    at_ts_ns,
    ios,
    sum(depth) OVER following AS depth,
    sum(device_depth) OVER following AS device_depth,
    lead(at_ts_ns) OVER following - at_ts_ns AS dur_ns
  FROM changes
  WINDOW following AS (PARTITION BY disk ORDER BY at_ts_ns)
)
SELECT
  from_ts_ns + (at_ts_ns - from_ts_ns) // step_ns * step_ns AS ts_ns,
  disk,
  sum(ios)::BIGINT AS ios,
  sum(depth * dur_ns) / sum(dur_ns) AS mean_depth,
  max(depth)::BIGINT AS max_depth,
  sum(device_depth * dur_ns) / sum(dur_ns) AS mean_device_depth
FROM course, step
WHERE at_ts_ns >= from_ts_ns AND at_ts_ns < until_ts_ns
GROUP BY ALL
ORDER BY ts_ns, disk
