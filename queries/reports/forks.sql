-- forks   Who makes processes and threads.
--
-- Answers:  Is there a churn of processes or threads, and whose?
-- Params:   none
-- Returns:  one row per process and thread name: processes and threads that it made,
--           and their rate
-- Cost:     one pass over process_fork
SELECT
  f.pid,
  f.comm,
  count(*) FILTER (NOT f.thread) AS processes,
  count(*) FILTER (f.thread) AS threads,
  count(*) / any_value(span.dur_ns) * 1e9 AS rate_hz
FROM process_fork AS f, span
GROUP BY f.pid, f.comm
ORDER BY processes + threads DESC, f.pid, f.comm
