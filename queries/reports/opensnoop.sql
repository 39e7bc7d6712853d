-- opensnoop   Every opening of a file: who, what, and how it ended.
--
-- Answers:  Which files do programs open, and which do they not find?
-- Params:   pid BIGINT = NULL (one process; NULL: all),
--           failed BIGINT = 0 (1: only those that failed)
-- Returns:  one row per call in order of return; fd is -1 and err a positive errno
--           where it failed, else err is 0; dur_ns in the call; the path as it was given
-- Cost:     one pass over file_open
SELECT
  ts_ns,
  pid,
  tid,
  comm,
  fd,
  -error AS err,
  flags,
  created,
  dur_ns,
  path
FROM file_open
WHERE ($pid IS NULL OR pid = $pid) AND ($failed = 0 OR error <> 0)
ORDER BY ts_ns, pid, tid, fd, path, comm, err, flags, created, dur_ns
