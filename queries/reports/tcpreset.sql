-- tcpreset   Every reset: sent or received, whose connection, why.
--
-- Answers:  Who aborts connections, and what hits a port without a listener?
-- Params:   none
-- Returns:  one row per reset in order of time; direction is out (sent) or in; pid
--           and comm NULL where no socket, or none whose owner is known, had it
-- Cost:     one pass over tcp_reset, tcp_connection and socket
SELECT
  r.ts_ns,
  coalesce(r.pid, c.pid) AS pid,
  coalesce(nullif(r.comm, ''), c.comm) AS comm,
  CASE WHEN r.sent THEN 'out' ELSE 'in' END AS direction,
  r.local_addr,
  r.local_port,
  r.remote_addr,
  r.remote_port,
  r.state,
  r.reason
FROM tcp_reset AS r
ASOF LEFT JOIN tcp_end AS c
  ON r.netns = c.netns AND r.local_addr = c.local_addr
  AND r.remote_addr = c.remote_addr AND r.local_port = c.local_port
  AND r.remote_port = c.remote_port AND r.ts_ns <= c.ts_ns
ORDER BY
  r.ts_ns, r.netns, r.sock, r.sent, r.local_port, r.remote_port, r.reason
