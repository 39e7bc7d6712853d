-- profile_cpus   How busy each CPU was, by sampling.
--
-- Answers:  Was a CPU busy, and did the profile see all of it?
-- Params:   none
-- Returns:  one row per CPU: samples taken (99 a second), of these idle ones, and the
--           share that was busy
-- Cost:     one pass over profile_cpu
SELECT
  cpu,
  sum(samples)::BIGINT AS samples,
  sum(idle)::BIGINT AS idle,
  1 - sum(idle) / sum(samples) AS busy_share
FROM profile_cpu
GROUP BY cpu
ORDER BY cpu
