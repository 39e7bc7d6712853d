-- iouring   Requests of io_uring by process and operation.
--
-- Answers:  Who uses io_uring for what, and how long do its requests take?
-- Params:   none
-- Returns:  one row per process, thread name and operation: requests that completed,
--           errors, mean, p99 of the process's operation, and max in ns
-- Cost:     one pass over io_uring and io_uring_latency
WITH buckets AS (
  SELECT pid, opcode, bucket_ns, sum(requests) AS requests
  FROM io_uring_latency
  GROUP BY pid, opcode, bucket_ns
), ranked AS (
  SELECT
    pid,
    opcode,
    bucket_ns * (1 + 1 / 128) AS middle_ns,
    sum(requests) OVER (PARTITION BY pid, opcode ORDER BY bucket_ns)
      / sum(requests) OVER (PARTITION BY pid, opcode) AS share
  FROM buckets
), quantiles AS (
  SELECT pid, opcode, min(middle_ns) FILTER (share >= 0.99) AS p99_ns
  FROM ranked
  GROUP BY pid, opcode
)
SELECT
  u.pid,
  u.comm,
  coalesce(o.name, 'operation ' || u.opcode) AS operation,
  sum(u.requests)::BIGINT AS requests,
  sum(u.errors)::BIGINT AS errors,
  sum(u.total_ns) / sum(u.requests) AS mean_ns,
  any_value(q.p99_ns) AS p99_ns,
  max(u.max_ns) AS max_ns
FROM io_uring AS u
LEFT JOIN quantiles AS q USING (pid, opcode)
LEFT JOIN io_uring_op AS o USING (opcode)
GROUP BY u.pid, u.comm, u.opcode, o.name
ORDER BY requests DESC, u.pid, u.comm, u.opcode
