-- writeback   Who makes pages dirty and who writes them back: which file, when.
--
-- Answers:  Whose writes reach the disk when, and by whose hand?
-- Params:   none
-- Returns:  one row per second, process, thread name and file that dirtied or wrote
--           pages; written_bytes is what was handed to the disk; the file's path where
--           known, else dev:inode
-- Cost:     one pass over page_cache and one over writeback
WITH done AS (
  SELECT
    ts_ns, pid, comm, dev, inode, dirtied AS dirtied_pages, 0 AS written_pages,
    0 AS errors, 0 AS total_ns
  FROM cache_use
  WHERE dirtied > 0
  UNION ALL
  SELECT
    w.ts_ns, w.pid, w.comm, coalesce(nullif(w.dev, 0), i.dev, 0), w.inode, 0,
    w.pages, w.errors, w.total_ns
  FROM writeback AS w
  LEFT JOIN inode_dev AS i ON w.dev = 0 AND i.inode = w.inode
  WHERE w.pages > 0 OR w.errors > 0
)
SELECT
  d.ts_ns,
  d.pid,
  d.comm,
  sum(d.dirtied_pages)::BIGINT AS dirtied_pages,
  sum(d.written_pages)::BIGINT AS written_pages,
  4096 * sum(d.written_pages)::BIGINT AS written_bytes,
  sum(d.errors)::BIGINT AS errors,
  sum(d.total_ns)::BIGINT AS total_ns,
  coalesce(
    any_value(p.path),
    (d.dev >> 20) || ':' || (d.dev & 1048575) || ':' || d.inode
  ) AS file
FROM done AS d
LEFT JOIN file_path AS p USING (dev, inode)
GROUP BY d.ts_ns, d.pid, d.comm, d.dev, d.inode
ORDER BY d.ts_ns, written_pages DESC, dirtied_pages DESC, d.pid, d.comm, file
