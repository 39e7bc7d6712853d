-- services   Who calls whom: rate, latency, errors, bytes.
--
-- Answers:  What is the map of this stack, and which link is slow or failing?
-- Params:   none
-- Returns:  one row per caller and callee; caller is "(outside)" for roots;
--           rate_hz over the time range, latencies of the callee in ns
-- Cost:     one pass over the requests and the untraced calls
WITH links AS (
  SELECT
    coalesce(caller, '(outside)') AS caller,
    service AS callee,
    layer,
    wall_ns,
    error OR status >= 500 AS failed,
    recv_bytes,
    send_bytes
  FROM request_caller
  UNION ALL
  SELECT
    p.service, u.service, u.layer, u.wait_ns, false, u.send_bytes, u.recv_bytes
  FROM untraced AS u
  JOIN requests AS p
    ON p.sock = u.parent_sock AND p.recv_ts_ns = u.parent_recv_ts_ns
)
SELECT
  caller,
  callee,
  layer,
  count(*) AS requests,
  count(*) * 1e9 / any_value(span.dur_ns) AS rate_hz,
  avg(wall_ns) AS mean_ns,
  quantile_cont(wall_ns, 0.5) AS p50_ns,
  quantile_cont(wall_ns, 0.99) AS p99_ns,
  count(*) FILTER (WHERE failed) AS errors,
  sum(recv_bytes)::BIGINT AS recv_bytes,
  sum(send_bytes)::BIGINT AS send_bytes
FROM links, span
GROUP BY caller, callee, layer
ORDER BY requests DESC, caller, callee, layer
