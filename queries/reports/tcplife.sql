-- tcplife   Every TCP connection: whose, how long it lived, what it carried, how it ended.
--
-- Answers:  Which connections were there, and did they end well?
-- Params:   none
-- Returns:  one row per end of a connection in order of close; direction is in
--           (accepted here), out, or NULL; times in ns, of a connection that was
--           open before the capture NULL; bytes are payload, of a connection that
--           is still open those of its last sample, else NULL
-- Cost:     one pass over tcp_connection and socket
SELECT
  ts_ns,
  pid,
  comm,
  CASE WHEN accepted THEN 'in' WHEN NOT accepted THEN 'out' END AS direction,
  local_addr,
  local_port,
  remote_addr,
  remote_port,
  send_bytes,
  recv_bytes,
  dur_ns,
  connect_ns,
  accept_ns,
  rtt_ns,
  segs_out,
  retransmits,
  ended,
  error,
  netns
FROM tcp_end
ORDER BY
  ts_ns, netns, sock, opened_ts_ns, local_addr, local_port, remote_addr,
  remote_port, pid, send_bytes, recv_bytes
