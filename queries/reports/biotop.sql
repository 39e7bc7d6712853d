-- biotop   Block I/O by process, kind and disk, the most bytes first.
--
-- Answers:  Which processes use which disk, how much, and how slow is it for them?
-- Params:   none
-- Returns:  one row per process, kind (D: R, W, F or D) and disk (MAJ, MIN, DISK):
--           I/Os, bytes, and the mean time on the device in ns; pid is NULL where
--           the submitter is not known
-- Cost:     one pass over block_io
SELECT
  b.pid,
  b.comm,
  b.rwbs[1] AS d,
  b.dev >> 20 AS maj,
  b.dev & 1048575 AS min,
  coalesce(d.name, (b.dev >> 20) || ':' || (b.dev & 1048575)) AS disk,
  count(*) AS ios,
  sum(b.bytes)::BIGINT AS bytes,
  avg(b.device_ns) AS mean_ns
FROM block_io AS b
LEFT JOIN disk AS d USING (dev)
GROUP BY ALL
ORDER BY bytes DESC, ios DESC, b.pid, b.comm, d, maj, min
