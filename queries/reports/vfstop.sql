-- vfstop   File system operations by process: how many, how slow.
--
-- Answers:  Who asks how much of file systems, and how long does it take?
-- Params:   none
-- Returns:  one row per process, thread name and operation: calls, those that failed,
--           and ns in all, on average and at most; creates are opens too, without times
-- Cost:     one pass over vfs
SELECT
  pid,
  comm,
  [
    'read', 'write', 'fsync', 'open', 'create', 'unlink', 'rename', 'mkdir'
  ][op + 1] AS operation,
  sum(calls)::BIGINT AS calls,
  sum(errors)::BIGINT AS errors,
  sum(total_ns)::BIGINT AS total_ns,
  sum(total_ns) / sum(calls) AS mean_ns,
  max(max_ns) AS max_ns
FROM vfs
GROUP BY pid, comm, op
ORDER BY total_ns DESC, calls DESC, pid, comm, operation
