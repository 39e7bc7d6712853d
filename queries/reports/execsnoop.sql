-- execsnoop   Programs as they start, failed attempts too.
--
-- Answers:  Which programs are started, by whom, with which arguments?
-- Params:   none
-- Returns:  one row per execve or execveat in order of time: name of the thread after
--           and before it, error (0 or a negative errno), the call's time in ns, and the
--           path and first 16 arguments, each cut at 63 bytes
-- Cost:     one pass over exec and exec_argument
WITH listed AS (
  SELECT ts_ns, pid, string_agg(argument, ' ' ORDER BY position) AS args
  FROM exec_argument
  GROUP BY ts_ns, pid
)
SELECT
  e.ts_ns,
  e.comm AS pcomm,
  e.caller_comm,
  e.pid,
  e.ppid,
  e.uid,
  e.error,
  e.dur_ns,
  e.path,
  l.args
FROM exec AS e
LEFT JOIN listed AS l USING (ts_ns, pid)
ORDER BY e.ts_ns, e.pid, e.tid, e.path, e.error, l.args
