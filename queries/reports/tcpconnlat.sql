-- tcpconnlat   How long each connection that was opened here took to be established.
--
-- Answers:  Is connecting slow, and does it fail?
-- Params:   min_ns BIGINT = 0 (only those that took so long, or failed)
-- Returns:  one row per connection that was opened here, in order of its SYN;
--           connect_ns is the latency, NULL where it was never established;
--           waited_ns is that, or how long it was tried; outcome is established,
--           or how it ended: refused, timed_out, given_up, failed, open
-- Cost:     one pass over tcp_connection
SELECT
  opened_ts_ns AS ts_ns,
  pid,
  comm,
  local_addr,
  remote_addr,
  remote_port,
  connect_ns,
  coalesce(connect_ns, dur_ns) AS waited_ns,
  CASE WHEN connect_ns IS NULL THEN ended ELSE 'established' END AS outcome
FROM tcp_connection
WHERE NOT accepted AND (connect_ns IS NULL OR connect_ns >= $min_ns)
ORDER BY ts_ns, netns, sock, local_port, remote_port, pid
