-- disk_busy   A disk is busy all the time, whoever waits for it.
--
-- Version:   1
-- Title:     the disk {object} is busy all the time
-- Resource:  disk
-- Threshold: busy for 90 % of the time with more than one I/O under way on
--            average; for a disk that works on many at a time this is a sign,
--            not a proof
-- Unit:      share
-- Needs:     host_disk
-- Certainty: 0.8
-- Evidence:  stackledger query iostat
-- Next:      stackledger query biotop: whose I/O it is; fewer or larger I/Os,
--            or a faster disk
-- Cost:      one pass over host_disk and block_io
WITH disks AS (
  SELECT
    dev,
    any_value(disk) AS name,
    sum(busy_ns) / nullif(sum(interval_ns), 0) AS busy_share,
    sum(weighted_ns) / nullif(sum(interval_ns), 0) AS depth,
    sum(reads + writes) AS ios,
    sum(read_bytes + write_bytes) AS bytes,
    sum(read_ns + write_ns) / nullif(sum(reads + writes), 0) AS wait_ns
  FROM host_disk
  GROUP BY dev
), slow AS (
  SELECT dev, quantile_cont(coalesce(queue_ns, 0) + device_ns, 0.99) AS p99_ns
  FROM block_io
  WHERE device_ns IS NOT NULL
  GROUP BY dev
)
SELECT
  'host' AS layer,
  '' AS service,
  d.name AS object,
  NULL::BIGINT AS explained_ns,
  NULL::BIGINT AS typical_ns,
  CASE
    WHEN d.wait_ns >= 10000000 OR NOT EXISTS (SELECT 1 FROM spent)
      THEN 'warning'
    ELSE 'note'
  END AS severity,
  d.busy_share AS measured,
  0.9 AS threshold,
  [
    figure('busy', d.busy_share, 'share'),
    figure('under way, mean', d.depth, 'I/Os'),
    figure('I/Os a second', d.ios * 1e9 / s.dur_ns, '/s'),
    figure('moved', d.bytes * 1e9 / s.dur_ns, 'bytes/s'),
    figure('each takes, mean', d.wait_ns, 'ns'),
    figure('p99', w.p99_ns, 'ns')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM disks AS d, span AS s
LEFT JOIN slow AS w ON w.dev = d.dev
WHERE d.busy_share >= 0.9 AND d.depth > 1
ORDER BY d.depth DESC, d.name
