-- biosnoop   Every block I/O: who, what, how long queued and on the device.
--
-- Answers:  Which process reads and writes what, and how long does the disk take?
-- Params:   pid BIGINT = NULL (one process; NULL: all)
-- Returns:  one row per I/O in order of completion; T is R, W, F or D; sector in
--           units of 512 bytes; times in ns
-- Cost:     one pass over block_io
SELECT
  b.ts_ns,
  b.comm,
  b.pid,
  coalesce(d.name, (b.dev >> 20) || ':' || (b.dev & 1048575)) AS disk,
  b.rwbs[1] AS t,
  b.sector,
  b.bytes,
  b.queue_ns,
  b.device_ns,
  b.error
FROM block_io AS b
LEFT JOIN disk AS d USING (dev)
WHERE $pid IS NULL OR b.pid = $pid
ORDER BY
  b.ts_ns, b.dev, b.sector, b.rwbs, b.pid, b.comm, b.bytes, b.queue_ns,
  b.device_ns, b.error
