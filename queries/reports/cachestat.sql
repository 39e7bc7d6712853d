-- cachestat   The page cache second by second: hits, misses, dirtied pages, hit ratio.
--
-- Answers:  How much of what was read was in memory, and why not the rest?
-- Params:   none
-- Returns:  one row per second; all in pages but hit_ratio (0..1, NULL where nothing
--           was read). misses were read from the disk: demand_misses while the reader
--           waited, read_ahead before anybody asked; hits are the lookups that cost
--           no such page. allocated: new for a write; removed: gone from the cache
-- Cost:     one pass over page_cache
WITH seconds AS (
  SELECT
    ts_ns,
    sum(lookups)::BIGINT AS lookups,
    sum(read_in)::BIGINT AS misses,
    sum(dirtied)::BIGINT AS dirties,
    sum(demand_misses)::BIGINT AS demand_misses,
    sum(read_ahead)::BIGINT AS read_ahead,
    sum(allocated)::BIGINT AS allocated,
    sum(removed)::BIGINT AS removed
  FROM cache_use
  GROUP BY ts_ns
), counted AS (
  -- Pages that were read ahead may be asked for later, or never.
  SELECT *, greatest(0, lookups - misses) AS hits
  FROM seconds
)
SELECT
  ts_ns,
  hits,
  misses,
  dirties,
  hits / nullif(hits + misses, 0)::DOUBLE AS hit_ratio,
  demand_misses,
  read_ahead,
  allocated,
  removed
FROM counted
ORDER BY ts_ns
