-- exitsnoop   Processes as they end.
--
-- Answers:  Which processes end, how old, with which code or signal, what did they use?
-- Params:   none
-- Returns:  one row per process in order of time: age and CPU time in ns, the most
--           memory it had, and how it ended (code, or the signal's number)
-- Cost:     one pass over process_exit
SELECT
  ts_ns,
  comm AS pcomm,
  pid,
  ppid,
  uid,
  age_ns,
  cpu_ns,
  max_rss_bytes,
  CASE WHEN signal = 0 THEN 'code ' || exit_code
    ELSE 'signal ' || signal
      || CASE WHEN core_dumped THEN ', core dumped' ELSE '' END
  END AS ended
FROM process_exit
ORDER BY ts_ns, pid, comm
