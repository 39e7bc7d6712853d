-- funclatency   Latency of a function as a histogram.
--
-- Answers:  How long do the calls of the function take that --function named?
-- Params:   none
-- Returns:  one row per function and power of two: from_ns up to but not including
--           to_ns, the calls in it, their share, and their mean in ns
-- Cost:     one pass over function_latency
WITH powers AS (
  SELECT
    function,
    floor(log2(greatest(1, bucket_ns)))::INTEGER AS power,
    sum(calls)::BIGINT AS calls,
    sum(total_ns) AS total_ns
  FROM function_latency
  GROUP BY function, power
)
SELECT
  function,
  (2 ** power)::BIGINT AS from_ns,
  (2 ** (power + 1))::BIGINT AS to_ns,
  calls,
  calls / sum(calls) OVER (PARTITION BY function) AS calls_share,
  total_ns / calls AS mean_ns
FROM powers
ORDER BY function, from_ns
