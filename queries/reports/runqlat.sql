-- runqlat   How long runnable threads wait for a CPU, as a histogram.
--
-- Answers:  Is there a queue for the CPUs, and how long is the wait in it?
-- Params:   none
-- Returns:  one row per power of two: from_ns up to but not including to_ns, the
--           waits in it, and their share
-- Cost:     one pass over run_queue
WITH powers AS (
  SELECT
    floor(log2(greatest(1, bucket_ns)))::INTEGER AS power,
    sum(waits)::BIGINT AS waits
  FROM run_queue
  GROUP BY power
)
SELECT
  (2 ** power)::BIGINT AS from_ns,
  (2 ** (power + 1))::BIGINT AS to_ns,
  waits,
  waits / sum(waits) OVER () AS waits_share
FROM powers
ORDER BY from_ns
