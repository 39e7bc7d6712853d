-- journal   Every commit of a file system's journal, and where its time went.
--
-- Answers:  How often does the journal commit, and what is slow about it?
-- Params:   none
-- Returns:  one row per commit in order of its end: its disk, number, ns in all and in
--           each phase, operations and changed blocks in it, blocks it wrote
-- Cost:     one pass over journal
SELECT
  j.ts_ns,
  coalesce(d.name, (j.dev >> 20) || ':' || (j.dev & 1048575)) AS disk,
  j.transaction,
  j.dur_ns,
  j.locking_ns,
  j.flushing_ns,
  j.logging_ns,
  j.handles,
  j.blocks,
  j.blocks_logged
FROM journal AS j
LEFT JOIN disk AS d USING (dev)
ORDER BY j.ts_ns, disk, j.transaction, j.dur_ns, j.handles, j.blocks_logged
