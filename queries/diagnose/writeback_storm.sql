-- writeback_storm   Write-back keeps the disk from requests.
--
-- Version:   2
-- Title:     {service} waits for {object} behind the write-back of dirty pages
-- Resource:  disk
-- Threshold: half of the bytes that the disk moves are background writes, and
--            one is under way for a fifth of the time: others queue behind them
-- Unit:      share
-- Needs:     request, block_io, host_memory
-- Refines:   disk_wait, disk_rate, disk_busy, fsync_stall
-- Certainty: 0.9
-- Evidence:  stackledger query writeback
-- Next:      write less at a time: lower vm.dirty_background_bytes, or give the
--            writer a limit (io.max); record --probe writeback to see whose
--            pages they are
-- Cost:      one pass over block_io
WITH disks AS (
  SELECT
    dev,
    sum(bytes) AS bytes,
    -- Nobody waits for them: they are not synchronous.
    sum(bytes) FILTER (rwbs LIKE 'W%' AND NOT contains(rwbs, 'S'))
      AS back_bytes,
    sum(coalesce(queue_ns, 0) + device_ns)
      FILTER (rwbs LIKE 'W%' AND NOT contains(rwbs, 'S')) AS back_ns,
    quantile_cont(device_ns, 0.99) FILTER (rwbs LIKE 'R%') AS read_p99_ns
  FROM block_io
  GROUP BY dev
  -- Of disks upon disks, the one that still knows who waits.
  ORDER BY back_bytes DESC NULLS LAST, dev
  LIMIT 1
), memory AS (
  SELECT max(dirty_bytes) AS dirty, max(writeback_bytes) AS under_way
  FROM host_memory
)
SELECT
  p.layer,
  p.service,
  coalesce(n.name, (d.dev >> 20) || ':' || (d.dev & 1048575)) AS object,
  (p.explained_ns * d.back_bytes / d.bytes)::BIGINT AS explained_ns,
  p.typical_ns,
  NULL AS severity,
  d.back_bytes / d.bytes AS measured,
  0.5 AS threshold,
  [
    figure('background writes', d.back_bytes * 1e9 / s.dur_ns, 'bytes/s'),
    figure('of them under way, mean', d.back_ns / s.dur_ns, 'I/Os'),
    figure('most dirty at a time', m.dirty, 'bytes'),
    figure('most under way at a time', m.under_way, 'bytes'),
    figure('p99 of reads meanwhile', d.read_p99_ns, 'ns')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM spent_part AS p, disks AS d, memory AS m, span AS s
LEFT JOIN disk AS n ON n.dev = d.dev
WHERE p.part = 'disk'
  AND d.back_bytes >= 0.5 * d.bytes
  AND d.back_bytes >= 33554432
  AND d.back_ns >= 0.2 * s.dur_ns
ORDER BY explained_ns DESC, p.layer, p.service
