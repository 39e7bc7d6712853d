-- runq   Waiting for a CPU by process, the longest waiting first.
--
-- Answers:  Whom does a busy host keep waiting for a CPU, how often and how long?
-- Params:   none
-- Returns:  one row per process and thread name: waits, their rate, the time waited
--           (as run_delay in /proc/PID/schedstat), mean and max in ns
-- Cost:     one pass over run_queue
SELECT
  r.pid,
  r.comm,
  sum(r.waits)::BIGINT AS waits,
  sum(r.waits) / any_value(span.dur_ns) * 1e9 AS rate_hz,
  sum(r.total_ns)::BIGINT AS total_ns,
  sum(r.total_ns) / sum(r.waits) AS mean_ns,
  max(r.max_ns) AS max_ns
FROM run_queue AS r, span
GROUP BY r.pid, r.comm
ORDER BY total_ns DESC, waits DESC, r.pid, r.comm
