-- syscalls   System calls by process, the most time first.
--
-- Answers:  Which process makes which system calls, and how long is it in them?
-- Params:   none
-- Returns:  one row per process, thread name and system call: calls that returned,
--           their rate, errors, the time in them (waiting included), mean and max
-- Cost:     one pass over syscall_count
SELECT
  c.pid,
  c.comm,
  coalesce(n.name, 'syscall ' || c.syscall) AS syscall,
  sum(c.calls)::BIGINT AS calls,
  sum(c.calls) / any_value(span.dur_ns) * 1e9 AS rate_hz,
  sum(c.errors)::BIGINT AS errors,
  sum(c.total_ns)::BIGINT AS total_ns,
  sum(c.total_ns) / sum(c.calls) AS mean_ns,
  max(c.max_ns) AS max_ns
FROM syscall_count AS c
LEFT JOIN syscall_name AS n USING (syscall), span
GROUP BY c.pid, c.comm, c.syscall, n.name
ORDER BY total_ns DESC, calls DESC, c.pid, c.comm, c.syscall
