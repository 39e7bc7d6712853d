-- endpoints   Root endpoints by the CPU time that they use across all layers.
--
-- Answers:  Which endpoints use the CPU, how often are they called, how slow are they?
-- Params:   none
-- Returns:  one row per root endpoint: requests, rate_hz, latencies in ns, the
--           CPU time of every layer below it and its share of all, disk time, errors
-- Cost:     one pass over the requests
WITH spent AS (
  SELECT
    t.root_sock AS sock,
    t.root_recv_ts_ns AS recv_ts_ns,
    sum(r.cpu_spent_ns) AS cpu_ns,
    sum(r.disk_ns) AS disk_ns
  FROM tree AS t
  JOIN requests AS r ON r.sock = t.sock AND r.recv_ts_ns = t.recv_ts_ns
  GROUP BY ALL
)
SELECT
  r.endpoint,
  count(*) AS requests,
  count(*) * 1e9 / any_value(span.dur_ns) AS rate_hz,
  avg(r.wall_ns) AS mean_ns,
  quantile_cont(r.wall_ns, 0.5) AS p50_ns,
  quantile_cont(r.wall_ns, 0.95) AS p95_ns,
  quantile_cont(r.wall_ns, 0.99) AS p99_ns,
  sum(s.cpu_ns)::BIGINT AS cpu_ns,
  sum(s.cpu_ns) / sum(sum(s.cpu_ns)) OVER () AS cpu_share,
  sum(s.disk_ns)::BIGINT AS disk_ns,
  count(*) FILTER (WHERE r.error OR r.status >= 500) AS errors
FROM requests AS r
JOIN spent AS s USING (sock, recv_ts_ns), span
WHERE r.parent_sock IS NULL
GROUP BY r.endpoint
ORDER BY cpu_ns DESC, r.endpoint
