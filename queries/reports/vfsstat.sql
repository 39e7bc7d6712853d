-- vfsstat   File system operations per second.
--
-- Answers:  How many reads, writes, fsyncs, opens and creates are asked for?
-- Params:   none
-- Returns:  one row per second: calls per second of each kind; pipes and sockets that
--           are read and written like files are among them
-- Cost:     one pass over vfs
WITH seconds AS (
  SELECT
    ts_ns,
    max(interval_ns) / 1e9 AS interval_s,
    coalesce(sum(calls) FILTER (WHERE op = 0), 0) AS reads,
    coalesce(sum(calls) FILTER (WHERE op = 1), 0) AS writes,
    coalesce(sum(calls) FILTER (WHERE op = 2), 0) AS fsyncs,
    coalesce(sum(calls) FILTER (WHERE op = 3), 0) AS opens,
    coalesce(sum(calls) FILTER (WHERE op = 4), 0) AS creates,
    coalesce(sum(calls) FILTER (WHERE op = 5), 0) AS unlinks,
    coalesce(sum(calls) FILTER (WHERE op = 6), 0) AS renames,
    coalesce(sum(calls) FILTER (WHERE op = 7), 0) AS mkdirs
  FROM vfs
  GROUP BY ts_ns
)
SELECT
  ts_ns,
  reads / interval_s AS read_hz,
  writes / interval_s AS write_hz,
  fsyncs / interval_s AS fsync_hz,
  opens / interval_s AS open_hz,
  creates / interval_s AS create_hz,
  unlinks / interval_s AS unlink_hz,
  renames / interval_s AS rename_hz,
  mkdirs / interval_s AS mkdir_hz
FROM seconds
ORDER BY ts_ns
