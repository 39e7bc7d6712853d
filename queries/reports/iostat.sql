-- iostat   Disks second by second, with iostat's columns (iostat -dxk 1).
--
-- Answers:  How many I/Os a second does each disk do, how large, how slow, how many
--           at a time, and how much of the time is it busy?
-- Params:   disk VARCHAR = NULL (one disk by name; NULL: all)
-- Returns:  one row per second (ts_ns: its end) and disk: I/Os, kB (1024 bytes) and
--           merges a second, mean time of an I/O in ns (queue included) and mean
--           size in bytes of reads (r), writes (w), discards (d) and flushes (f),
--           NULL where there were none; aqu-sz is the mean number under way;
--           util_share the part of the time with at least one under way
-- Cost:     one pass over host_disk
WITH per_s AS (
  SELECT *, 1e9 / interval_ns AS f
  FROM host_disk
  WHERE interval_ns > 0 AND ($disk IS NULL OR disk = $disk)
)
SELECT
  ts_ns,
  disk,
  reads * f AS "r/s",
  read_bytes / 1024 * f AS "rkB/s",
  read_merges * f AS "rrqm/s",
  read_ns / nullif(reads, 0) AS r_await_ns,
  read_bytes / nullif(reads, 0) AS rareq_bytes,
  writes * f AS "w/s",
  write_bytes / 1024 * f AS "wkB/s",
  write_merges * f AS "wrqm/s",
  write_ns / nullif(writes, 0) AS w_await_ns,
  write_bytes / nullif(writes, 0) AS wareq_bytes,
  discards * f AS "d/s",
  discard_bytes / 1024 * f AS "dkB/s",
  discard_ns / nullif(discards, 0) AS d_await_ns,
  flushes * f AS "f/s",
  flush_ns / nullif(flushes, 0) AS f_await_ns,
  weighted_ns / interval_ns AS "aqu-sz",
  least(1.0, busy_ns / interval_ns) AS util_share
FROM per_s
ORDER BY ts_ns, dev, disk
