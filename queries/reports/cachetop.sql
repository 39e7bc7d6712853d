-- cachetop   The page cache by process, the most missed pages first.
--
-- Answers:  Who reads what is not in memory, who fills the cache, who makes it dirty?
-- Params:   none
-- Returns:  one row per process and thread name; all in pages but hit_ratio (0..1,
--           NULL where nothing was read); the columns are those of cachestat
-- Cost:     one pass over page_cache
WITH users AS (
  SELECT
    pid,
    comm,
    sum(lookups)::BIGINT AS lookups,
    sum(read_in)::BIGINT AS misses,
    sum(dirtied)::BIGINT AS dirties,
    sum(demand_misses)::BIGINT AS demand_misses,
    sum(read_ahead)::BIGINT AS read_ahead,
    sum(allocated)::BIGINT AS allocated,
    sum(removed)::BIGINT AS removed
  FROM cache_use
  GROUP BY pid, comm
), counted AS (
  SELECT *, greatest(0, lookups - misses) AS hits
  FROM users
)
SELECT
  pid,
  comm,
  hits,
  misses,
  dirties,
  hits / nullif(hits + misses, 0)::DOUBLE AS hit_ratio,
  demand_misses,
  read_ahead,
  allocated,
  removed
FROM counted
ORDER BY misses DESC, hits DESC, dirties DESC, pid, comm
