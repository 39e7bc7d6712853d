-- tcptop   Bytes that each process sent and received on each TCP connection.
--
-- Answers:  Who is using the network, and with whom?
-- Params:   none
-- Returns:  one row per process, thread name and connection: calls, payload received
--           and sent, the busiest second's bytes of both
-- Cost:     one pass over tcp_io; needs the probe tcp_io
SELECT
  i.pid,
  i.comm,
  s.local_addr,
  s.local_port,
  s.remote_addr,
  s.remote_port,
  sum(i.calls)::BIGINT AS calls,
  sum(i.recv_bytes)::BIGINT AS recv_bytes,
  sum(i.send_bytes)::BIGINT AS send_bytes,
  max(i.recv_bytes + i.send_bytes) AS busiest_bytes
FROM tcp_io AS i
LEFT JOIN tcp_socket AS s ON s.sock = i.sock AND s.ts_ns = i.conn_ts_ns
GROUP BY
  i.pid, i.comm, i.sock, i.conn_ts_ns, s.local_addr, s.local_port,
  s.remote_addr, s.remote_port
ORDER BY
  sum(i.recv_bytes + i.send_bytes) DESC, i.pid, i.comm, s.local_addr,
  s.local_port, s.remote_addr, s.remote_port, i.conn_ts_ns, i.sock
