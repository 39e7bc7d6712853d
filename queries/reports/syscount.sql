-- syscount   System calls by number and time, as `strace -c -f` sums them up.
--
-- Answers:  Which system calls are made, how often, do they fail, how long do they take?
-- Params:   none
-- Returns:  one row per system call: calls that returned, errors, the time in them
--           (waiting included) and its share, mean, p50, p99 and max in ns; p50 and
--           p99 are of all processes, and at most 0.8 % off
-- Cost:     one pass over syscall_count and syscall_latency
WITH called AS (
  SELECT
    syscall,
    sum(calls)::BIGINT AS calls,
    sum(errors)::BIGINT AS errors,
    sum(total_ns)::BIGINT AS total_ns,
    max(max_ns) AS max_ns
  FROM syscall_count
  GROUP BY syscall
), buckets AS (
  SELECT syscall, bucket_ns, sum(calls) AS calls
  FROM syscall_latency
  GROUP BY syscall, bucket_ns
), ranked AS (
  SELECT
    syscall,
    bucket_ns * (1 + 1 / 128) AS middle_ns,
    sum(calls) OVER (PARTITION BY syscall ORDER BY bucket_ns)
      / sum(calls) OVER (PARTITION BY syscall) AS share
  FROM buckets
), quantiles AS (
  SELECT
    syscall,
    min(middle_ns) FILTER (share >= 0.5) AS p50_ns,
    min(middle_ns) FILTER (share >= 0.99) AS p99_ns
  FROM ranked
  GROUP BY syscall
)
SELECT
  coalesce(n.name, 'syscall ' || c.syscall) AS syscall,
  c.calls,
  c.errors,
  c.total_ns,
  c.total_ns / nullif(sum(c.total_ns) OVER (), 0) AS total_share,
  c.total_ns / c.calls AS mean_ns,
  q.p50_ns,
  q.p99_ns,
  c.max_ns
FROM called AS c
LEFT JOIN quantiles AS q USING (syscall)
LEFT JOIN syscall_name AS n USING (syscall)
ORDER BY c.total_ns DESC, c.calls DESC, c.syscall
