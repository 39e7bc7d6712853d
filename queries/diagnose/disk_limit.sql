-- disk_limit   Reads are held back: the disk could do more of them.
--
-- Version:   1
-- Title:     {service} waits for {object}, which is held at a limit
-- Resource:  disk
-- Threshold: the disk works for less than half of the time that reads wait for
--            it; the rest is a quota's: a cgroup's throttle, or the volume's
--            provisioned I/Os or bytes
-- Unit:      share
-- Needs:     request, block_io
-- Refines:   disk_wait
-- Certainty: 0.95
-- Evidence:  stackledger query iostat --param disk={object}
-- Next:      raise the limit of {object} (blkio.throttle, io.max, the volume's
--            IOPS), or read less from it: stackledger whatif --disk tiers
--            compares volumes
-- Cost:      one pass over block_io and fsync
WITH synced AS (
  SELECT tid, sum(dur_ns) AS dur_ns
  FROM fsync
  GROUP BY tid
), waited AS (
  -- What is waited for inside fsync is fsync_stall's.
  SELECT
    layer,
    service,
    sum(disk_ns) AS raw_ns,
    sum(greatest(0, disk_ns - coalesce(f.dur_ns, 0))) AS read_ns
  FROM (
    SELECT layer, service, tid, sum(disk_ns) AS disk_ns FROM spent GROUP BY ALL
  )
  LEFT JOIN synced AS f USING (tid)
  GROUP BY layer, service
), disks AS (
  SELECT
    dev,
    count(*) AS reads,
    sum(bytes) AS bytes,
    sum(coalesce(queue_ns, 0) + device_ns) AS worked_ns,
    quantile_cont(device_ns, 0.5) AS p50_ns
  FROM block_io
  WHERE rwbs LIKE 'R%' AND device_ns IS NOT NULL
  GROUP BY dev
  ORDER BY worked_ns DESC
  LIMIT 1
), whole AS (
  SELECT scaled(sum(read_ns)) AS read_ns FROM waited
)
SELECT
  p.layer,
  p.service,
  coalesce(n.name, (d.dev >> 20) || ':' || (d.dev & 1048575)) AS object,
  (p.explained_ns * w.read_ns / w.raw_ns)::BIGINT AS explained_ns,
  p.typical_ns,
  NULL AS severity,
  d.worked_ns / t.read_ns AS measured,
  0.5 AS threshold,
  [
    figure('reads a second', d.reads * 1e9 / s.dur_ns, '/s'),
    figure('read', d.bytes * 1e9 / s.dur_ns, 'bytes/s'),
    figure('the disk needs for one, median', d.p50_ns, 'ns'),
    figure('requests wait for one, mean', t.read_ns / d.reads, 'ns')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM spent_part AS p
JOIN waited AS w USING (layer, service), disks AS d, whole AS t, span AS s
LEFT JOIN disk AS n ON n.dev = d.dev
WHERE p.part = 'disk' AND w.raw_ns > 0 AND d.worked_ns < 0.5 * t.read_ns
ORDER BY explained_ns DESC, p.layer, p.service
