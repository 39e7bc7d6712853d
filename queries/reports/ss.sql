-- ss   The sockets at the end of the time range, as ss -timp lists them.
--
-- Answers:  Who is connected to whom, what is queued, how full are the buffers?
-- Params:   state VARCHAR = NULL (one state, as ESTABLISHED; NULL: all)
--           port BIGINT = NULL (a local or remote port; NULL: all)
-- Returns:  one row per TCP and UDP socket of each network namespace's last sample:
--           queues in bytes (listeners: connections waiting, and how many may);
--           buffers' shares of their limits; TCP: times in ns, window in segments,
--           segments sent again and bytes since it was made; NULL: does not apply
-- Cost:     one pass over socket
WITH last AS (
  SELECT netns, max(ts_ns) AS ts_ns
  FROM socket
  GROUP BY netns
), named AS (
  SELECT pid, arg_max(comm, (ts_ns, comm)) AS comm
  FROM process
  GROUP BY pid
)
SELECT
  s.ts_ns,
  s.netns,
  s.protocol AS netid,
  s.state,
  coalesce(s.backlog, s.recv_queue_bytes) AS recv_q,
  coalesce(s.backlog_limit, s.send_queue_bytes) AS send_q,
  s.local_addr,
  s.local_port,
  s.remote_addr,
  s.remote_port,
  s.pid,
  n.comm,
  s.uid,
  s.rmem_bytes / nullif(s.rmem_limit_bytes, 0) AS recv_buffer_share,
  s.wmem_bytes / nullif(s.wmem_limit_bytes, 0) AS send_buffer_share,
  s.drops,
  s.rtt_ns,
  s.rttvar_ns,
  s.rto_ns,
  s.cwnd,
  s.ssthresh,
  s.unacked,
  s.lost,
  s.total_retransmits AS retrans,
  s.sent_bytes,
  s.acked_bytes,
  s.received_bytes,
  s.pacing_rate,
  s.delivery_rate,
  s.congestion,
  s.inode
FROM socket AS s
JOIN last USING (netns, ts_ns)
LEFT JOIN named AS n USING (pid)
WHERE ($state IS NULL OR s.state = $state)
  AND ($port IS NULL OR $port IN (s.local_port, s.remote_port))
ORDER BY
  s.netns, netid, s.state, s.local_addr, s.local_port, s.remote_addr,
  s.remote_port, s.cookie, s.inode, s.pid
