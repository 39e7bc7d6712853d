-- calls   Every call that a request made, in order.
--
-- Answers:  Which servers were called, for how long, and was the other end traced?
-- Params:   endpoint VARCHAR = NULL (of the call; NULL: all)
-- Returns:  one row per call: wall_ns from first send to last receive, wait_ns
--           what was waited for it, callee_wall_ns the request that it became
-- Cost:     one pass over the calls
SELECT
  c.ts_ns, s.service, c.pid, c.server_addr, c.server_port, c.protocol,
  c.endpoint, c.wall_ns, c.wait_ns, c.callee_wall_ns, c.answer_queue_ns,
  c.send_bytes, c.recv_bytes, c.grade, c.complete
FROM calls AS c
LEFT JOIN process_service AS s USING (pid)
WHERE $endpoint IS NULL OR c.endpoint = $endpoint
ORDER BY c.ts_ns, c.sock
