-- filetop   Reads and writes by process and file, the most bytes first.
--
-- Answers:  Which files are read and written, by whom, how much, and how slowly?
-- Params:   none
-- Returns:  one row per process, thread name and file: calls, bytes, ns in the calls,
--           and the file's path where known, else dev:inode
-- Cost:     one pass over file_io
SELECT
  i.pid,
  i.comm,
  sum(i.reads)::BIGINT AS reads,
  sum(i.writes)::BIGINT AS writes,
  sum(i.read_bytes)::BIGINT AS read_bytes,
  sum(i.write_bytes)::BIGINT AS write_bytes,
  sum(i.errors)::BIGINT AS errors,
  sum(i.total_ns)::BIGINT AS total_ns,
  coalesce(
    any_value(p.path),
    (i.dev >> 20) || ':' || (i.dev & 1048575) || ':' || i.inode
  ) AS file
FROM file_io AS i
LEFT JOIN file_path AS p USING (dev, inode)
GROUP BY i.pid, i.comm, i.dev, i.inode
ORDER BY
  sum(i.read_bytes + i.write_bytes) DESC, reads DESC, writes DESC, i.pid,
  i.comm, file
