-- endpoints   Root endpoints by the CPU time that they use across all layers.
--
-- Answers:  Which endpoints use the CPU, how often are they called, how slow are they?
-- Params:   none
-- Returns:  one row per root endpoint: requests, rate_hz, latencies in ns, the
--           CPU time of every layer below it and its share of all, disk time, errors
-- Cost:     one pass over the requests
WITH spent AS (
  SELECT
    root_endpoint AS endpoint,
    sum(cpu_spent_ns) AS cpu_ns,
    sum(disk_ns) AS disk_ns
  FROM placed
  GROUP BY root_endpoint
), answered AS (
  SELECT
    endpoint,
    count(*) AS requests,
    count(*) * 1e9 / any_value(span.dur_ns) AS rate_hz,
    avg(wall_ns) AS mean_ns,
    quantile_cont(wall_ns, 0.5) AS p50_ns,
    quantile_cont(wall_ns, 0.95) AS p95_ns,
    quantile_cont(wall_ns, 0.99) AS p99_ns,
    count(*) FILTER (error OR status >= 500) AS errors
  FROM requests, span
  WHERE parent_sock IS NULL
  GROUP BY endpoint
)
SELECT
  endpoint,
  r.requests,
  r.rate_hz,
  r.mean_ns,
  r.p50_ns,
  r.p95_ns,
  r.p99_ns,
  s.cpu_ns::BIGINT AS cpu_ns,
  s.cpu_ns / sum(s.cpu_ns) OVER () AS cpu_share,
  s.disk_ns::BIGINT AS disk_ns,
  r.errors
FROM answered AS r
JOIN spent AS s USING (endpoint)
ORDER BY cpu_ns DESC, endpoint
