-- fsyncs   Latency of fsync and fdatasync by process and file.
--
-- Answers:  Who waits for files to be on the disk, how often and how long?
-- Params:   none
-- Returns:  one row per process, thread name, file and kind of call: calls, those
--           that failed, ns in all, and the 50th and 99th percentile and longest;
--           the file's path where known, else dev:inode, empty for a wrong descriptor
-- Cost:     one pass over fsync
SELECT
  f.pid,
  f.comm,
  CASE WHEN f.datasync THEN 'fdatasync' ELSE 'fsync' END AS call,
  count(*) AS calls,
  count(*) FILTER (WHERE f.error <> 0) AS errors,
  sum(f.dur_ns)::BIGINT AS total_ns,
  quantile_disc(f.dur_ns, 0.5) AS p50_ns,
  quantile_disc(f.dur_ns, 0.99) AS p99_ns,
  max(f.dur_ns) AS max_ns,
  CASE
    WHEN f.inode = 0 THEN ''
    ELSE coalesce(
      any_value(p.path),
      (f.dev >> 20) || ':' || (f.dev & 1048575) || ':' || f.inode
    )
  END AS file
FROM fsync AS f
LEFT JOIN file_path AS p USING (dev, inode)
GROUP BY f.pid, f.comm, f.datasync, f.dev, f.inode
ORDER BY total_ns DESC, calls DESC, f.pid, f.comm, call, file
