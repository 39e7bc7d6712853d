-- disk_rate   A disk does as much every second while more waits.
--
-- Version:   1
-- Title:     {service} waits for {object}, which does no more a second, however
--            much waits
-- Resource:  disk
-- Threshold: the rate of its busiest seconds is within 10 % of the median one,
--            with 4 I/Os under way on average, and half of them take 4 times as
--            long as the quickest: they queue in the volume
-- Unit:      share
-- Needs:     request, block_io, host_disk
-- Refines:   disk_wait, cache_cold
-- Certainty: 0.7
-- Evidence:  stackledger query iostat --param disk={object}
-- Next:      see what the volume is provisioned for (stackledger prices): more
--            IOPS or bytes a second, or less to read; stackledger whatif --disk
--            tiers compares volumes
-- Cost:      one pass over block_io and host_disk
WITH second AS (
  SELECT
    dev,
    disk,
    (reads + writes) * 1e9 / interval_ns AS iops,
    (read_bytes + write_bytes) * 1e9 / interval_ns AS bytes,
    weighted_ns / interval_ns AS depth
  FROM host_disk
  WHERE interval_ns > 500000000 AND busy_ns >= 0.9 * interval_ns
), rate AS (
  SELECT
    dev,
    any_value(disk) AS name,
    median(iops) AS iops,
    median(bytes) AS bytes,
    least(
      quantile_cont(iops, 0.95) / nullif(median(iops), 0),
      quantile_cont(bytes, 0.95) / nullif(median(bytes), 0)
    ) AS flat,
    avg(depth) AS depth,
    count(*) AS seconds
  FROM second
  GROUP BY dev
), slow AS (
  SELECT
    dev,
    quantile_cont(device_ns, 0.05) AS quick_ns,
    quantile_cont(device_ns, 0.5) AS p50_ns
  FROM block_io
  WHERE device_ns IS NOT NULL AND bytes > 0
  GROUP BY dev
)
SELECT
  p.layer,
  p.service,
  r.name AS object,
  p.explained_ns,
  p.typical_ns,
  NULL AS severity,
  r.flat - 1 AS measured,
  0.1 AS threshold,
  [
    figure('I/Os a second, median', r.iops, '/s'),
    figure('moved a second, median', r.bytes, 'bytes/s'),
    figure('under way, mean', r.depth, 'I/Os'),
    figure('in the device, median', d.p50_ns, 'ns'),
    figure('in the device, quickest twentieth', d.quick_ns, 'ns')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM spent_part AS p, rate AS r
JOIN slow AS d ON d.dev = r.dev
WHERE p.part = 'disk' AND r.seconds >= 3 AND r.flat <= 1.1 AND r.depth >= 4
  AND d.p50_ns >= 4 * d.quick_ns
ORDER BY p.explained_ns DESC, p.layer, p.service, object
