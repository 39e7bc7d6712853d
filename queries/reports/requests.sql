-- requests   Every request with its ledger, in order of arrival.
--
-- Answers:  What happened, request by request?
-- Params:   endpoint VARCHAR = NULL (of the request itself; NULL: all)
--           layer VARCHAR = NULL (one layer; NULL: all)
-- Returns:  one row per request: its parts in ns sum to wall_ns
-- Cost:     one pass over the requests
SELECT
  ts_ns, layer, service, pid, endpoint, status, wall_ns, cpu_ns, runq_ns,
  disk_ns, lock_ns, sleep_ns, queue_ns, net_ns, downstream_ns, other_ns,
  unexplained_ns, calls, recv_bytes, send_bytes, grade, complete
FROM requests
WHERE ($endpoint IS NULL OR endpoint = $endpoint)
  AND ($layer IS NULL OR layer = $layer)
ORDER BY ts_ns, sock, recv_ts_ns
