-- cachefiles   The page cache by file, the most missed pages first.
--
-- Answers:  Which files are read from the disk, which from memory, which are written?
-- Params:   none
-- Returns:  one row per file: its path where known (a disk's own cache, where the
--           file system keeps its metadata: [disk]), else dev and inode alone; all in
--           pages but hit_ratio (0..1, NULL where nothing was read); the columns are
--           those of cachestat
-- Cost:     one pass over page_cache
WITH files AS (
  SELECT
    dev,
    inode,
    sum(lookups)::BIGINT AS lookups,
    sum(read_in)::BIGINT AS misses,
    sum(dirtied)::BIGINT AS dirties,
    sum(demand_misses)::BIGINT AS demand_misses,
    sum(read_ahead)::BIGINT AS read_ahead,
    sum(allocated)::BIGINT AS allocated,
    sum(removed)::BIGINT AS removed
  FROM cache_use
  GROUP BY dev, inode
), counted AS (
  SELECT *, greatest(0, lookups - misses) AS hits
  FROM files
)
SELECT
  f.path,
  c.dev,
  c.inode,
  c.hits,
  c.misses,
  c.dirties,
  c.hits / nullif(c.hits + c.misses, 0)::DOUBLE AS hit_ratio,
  c.demand_misses,
  c.read_ahead,
  c.allocated,
  c.removed
FROM counted AS c
LEFT JOIN file_path AS f USING (dev, inode)
ORDER BY c.misses DESC, c.hits DESC, c.dirties DESC, c.dev, c.inode
