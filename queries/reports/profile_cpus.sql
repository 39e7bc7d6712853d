-- profile_cpus   How busy each CPU was, by sampling.
--
-- Answers:  Was a CPU busy, and did the profile see all of it?
-- Params:   none
-- Returns:  one row per CPU: samples taken, of these idle ones, and the share of the
--           ticks (99 a second) that found it busy. An idle CPU may not tick at all:
--           a tick that is missing was an idle one
-- Cost:     one pass over profile_cpu
WITH cpus AS (
  SELECT cpu, sum(samples)::BIGINT AS samples, sum(idle)::BIGINT AS idle
  FROM profile_cpu
  GROUP BY cpu
), passed AS (
  -- The busiest CPU ticks all the time. Where none was, whole seconds count.
  SELECT greatest(
    (SELECT max(samples) FROM cpus),
    99 * ((max(ts_ns) - min(ts_ns)) / 1e9 - 1)) AS ticks
  FROM profile_cpu
)
SELECT cpu, samples, idle, (samples - idle) / ticks AS busy_share
FROM cpus CROSS JOIN passed
ORDER BY cpu
