-- ledger   The parts of the wall time, summed over the requests of each layer.
--
-- Answers:  Where did the time go, per root endpoint, layer and service?
-- Params:   endpoint VARCHAR = NULL (one root endpoint; NULL: all)
-- Returns:  one row per root endpoint, layer and service; requests, and sums over
--           them in ns: the parts sum to wall_ns. A layer's wall_ns holds the
--           layers below it, as downstream_ns; untraced servers have net_ns only
-- Cost:     one pass over the requests
WITH lines AS (
  SELECT
    root_endpoint, depth, layer, service, wall_ns, cpu_ns, runq_ns, disk_ns,
    lock_ns, sleep_ns, queue_ns, net_ns, downstream_ns, other_ns, unexplained_ns
  FROM placed
  UNION ALL
  SELECT
    p.root_endpoint, p.depth + 1, u.layer, u.service, u.wait_ns, 0, 0, 0,
    0, 0, 0, u.wait_ns, 0, 0, 0
  FROM untraced AS u
  JOIN placed AS p
    ON p.sock = u.parent_sock AND p.recv_ts_ns = u.parent_recv_ts_ns
)
SELECT
  root_endpoint AS endpoint,
  layer,
  service,
  count(*) AS requests,
  sum(wall_ns)::BIGINT AS wall_ns,
  sum(cpu_ns)::BIGINT AS cpu_ns,
  sum(runq_ns)::BIGINT AS runq_ns,
  sum(disk_ns)::BIGINT AS disk_ns,
  sum(lock_ns)::BIGINT AS lock_ns,
  sum(sleep_ns)::BIGINT AS sleep_ns,
  sum(queue_ns)::BIGINT AS queue_ns,
  sum(net_ns)::BIGINT AS net_ns,
  sum(downstream_ns)::BIGINT AS downstream_ns,
  sum(other_ns)::BIGINT AS other_ns,
  sum(unexplained_ns)::BIGINT AS unexplained_ns
FROM lines
WHERE $endpoint IS NULL OR root_endpoint = $endpoint
GROUP BY root_endpoint, layer, service
ORDER BY
  sum(sum(wall_ns)) FILTER (WHERE min(depth) = 0)
    OVER (PARTITION BY root_endpoint) DESC NULLS LAST,
  endpoint, min(depth), layer, service
