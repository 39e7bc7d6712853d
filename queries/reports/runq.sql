-- runq   Waiting for a CPU by process, the longest waiting first.
--
-- Answers:  Whom does a busy host keep waiting for a CPU, how often and how long?
-- Params:   none
-- Returns:  one row per process and thread name: waits, their rate, the time waited
--           (as run_delay in /proc/PID/schedstat), mean, p99 and max in ns; p99 is at
--           most 0.8 % off
-- Cost:     one pass over run_queue
WITH buckets AS (
  SELECT
    pid,
    comm,
    bucket_ns,
    sum(waits) AS waits,
    sum(total_ns) AS total_ns,
    max(max_ns) AS max_ns
  FROM run_queue
  GROUP BY pid, comm, bucket_ns
), ranked AS (
  SELECT
    *,
    sum(waits) OVER (PARTITION BY pid, comm ORDER BY bucket_ns)
      / sum(waits) OVER (PARTITION BY pid, comm) AS share
  FROM buckets
)
SELECT
  r.pid,
  r.comm,
  sum(r.waits)::BIGINT AS waits,
  sum(r.waits) / any_value(span.dur_ns) * 1e9 AS rate_hz,
  sum(r.total_ns)::BIGINT AS total_ns,
  sum(r.total_ns) / sum(r.waits) AS mean_ns,
  min(r.bucket_ns) FILTER (r.share >= 0.99) * (1 + 1 / 128) AS p99_ns,
  max(r.max_ns) AS max_ns
FROM ranked AS r, span
GROUP BY r.pid, r.comm
ORDER BY total_ns DESC, waits DESC, r.pid, r.comm
