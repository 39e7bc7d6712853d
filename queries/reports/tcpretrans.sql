-- tcpretrans   Every packet that TCP sent again: whose, where to, in which state.
--
-- Answers:  Who is losing packets, and to whom?
-- Params:   pid BIGINT = NULL (one process; NULL: all)
-- Returns:  one row per packet in order of time; t is R, or L for a probe of a lost
--           tail; kind is timeout, fast or probe, empty for what went unseen until the
--           connection closed; segs as the kernel's RetransSegs counts them; pid and
--           comm NULL where the owner of the socket is unknown
-- Cost:     one pass over tcp_retransmit, tcp_connection and socket
WITH owned AS (
  SELECT
    r.*,
    coalesce(r.pid, c.pid) AS owner_pid,
    coalesce(nullif(r.comm, ''), c.comm) AS owner_comm
  FROM tcp_retransmit AS r
  ASOF LEFT JOIN tcp_end AS c
    ON r.netns = c.netns AND r.local_addr = c.local_addr
    AND r.remote_addr = c.remote_addr AND r.local_port = c.local_port
    AND r.remote_port = c.remote_port AND r.ts_ns <= c.ts_ns
)
SELECT
  ts_ns,
  owner_pid AS pid,
  owner_comm AS comm,
  local_addr,
  local_port,
  CASE WHEN kind = 'probe' THEN 'L' ELSE 'R' END AS t,
  remote_addr,
  remote_port,
  state,
  kind,
  segs,
  bytes
FROM owned
WHERE $pid IS NULL OR owner_pid = $pid
ORDER BY ts_ns, netns, sock, local_port, remote_port, bytes, kind, segs
