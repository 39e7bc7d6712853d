-- connections   Every end of a TCP connection: what closed, and what stayed open.
--
-- Needs: tcp_connection, socket, process, capture

CREATE OR REPLACE VIEW tcp_end AS
-- One row per end. The samples of sockets complete what the probe does not know:
-- who has a connection open that was there before, what an open one has carried.
WITH sampled AS (
  SELECT
    netns,
    cookie,
    family,
    replace(local_addr, '::ffff:', '') AS local_addr,
    local_port,
    replace(remote_addr, '::ffff:', '') AS remote_addr,
    remote_port,
    max(pid) AS pid,
    arg_max(state, (ts_ns, state)) AS state,
    max(sent_bytes - coalesce(retransmitted_bytes, 0)) AS send_bytes,
    max(received_bytes) AS recv_bytes,
    max(segments_sent) AS segs_out,
    max(total_retransmits) AS retransmits,
    arg_max(rtt_ns, (ts_ns, rtt_ns)) AS rtt_ns,
    max(ts_ns) AS ts_ns
  FROM socket
  WHERE protocol = 'tcp' AND state <> 'LISTEN'
  GROUP BY ALL
), named AS (
  SELECT pid, arg_max(comm, (ts_ns, comm)) AS comm
  FROM process
  GROUP BY pid
), recorded AS (
  SELECT
    *,
    CASE WHEN ended = 'open' THEN 9223372036854775807 ELSE ts_ns END AS until_ts_ns
  FROM tcp_connection
), matched AS (
  SELECT
    r.*,
    s.cookie AS seen_cookie,
    s.pid AS seen_pid,
    s.send_bytes AS seen_send_bytes,
    s.recv_bytes AS seen_recv_bytes,
    s.segs_out AS seen_segs_out,
    s.retransmits AS seen_retransmits,
    s.rtt_ns AS seen_rtt_ns,
    s.ts_ns >= coalesce(r.opened_ts_ns, 0) AS seen
  FROM recorded AS r
  ASOF LEFT JOIN sampled AS s
    ON r.netns = s.netns AND r.local_addr = s.local_addr
    AND r.local_port = s.local_port AND r.remote_addr = s.remote_addr
    AND r.remote_port = s.remote_port AND r.until_ts_ns >= s.ts_ns
), last_sample AS (
  SELECT netns, max(ts_ns) AS ts_ns
  FROM socket
  GROUP BY netns
)
SELECT
  m.ts_ns,
  m.sock,
  m.netns,
  m.accepted,
  m.family,
  m.local_addr,
  m.local_port,
  m.remote_addr,
  m.remote_port,
  coalesce(m.pid, CASE WHEN m.seen THEN m.seen_pid END) AS pid,
  coalesce(nullif(m.comm, ''), n.comm, '') AS comm,
  m.opened_ts_ns,
  m.dur_ns,
  m.connect_ns,
  m.accept_ns,
  coalesce(m.send_bytes, CASE WHEN m.seen THEN m.seen_send_bytes END)
    AS send_bytes,
  coalesce(m.recv_bytes, CASE WHEN m.seen THEN m.seen_recv_bytes END)
    AS recv_bytes,
  coalesce(m.segs_out, CASE WHEN m.seen THEN m.seen_segs_out END) AS segs_out,
  coalesce(m.retransmits, CASE WHEN m.seen THEN m.seen_retransmits END)
    AS retransmits,
  coalesce(m.rtt_ns, CASE WHEN m.seen THEN m.seen_rtt_ns END) AS rtt_ns,
  m.ended,
  m.error
FROM matched AS m
LEFT JOIN named AS n ON m.pid IS NULL AND m.seen AND n.pid = m.seen_pid
UNION ALL
SELECT
  CASE WHEN s.ts_ns = l.ts_ns THEN greatest(s.ts_ns, c.ended_ts_ns) ELSE s.ts_ns END
    AS ts_ns,
  NULL AS sock,
  s.netns,
  NULL AS accepted,
  s.family,
  s.local_addr,
  s.local_port,
  s.remote_addr,
  s.remote_port,
  s.pid,
  coalesce(n.comm, '') AS comm,
  NULL AS opened_ts_ns,
  NULL AS dur_ns,
  NULL AS connect_ns,
  NULL AS accept_ns,
  s.send_bytes,
  s.recv_bytes,
  s.segs_out,
  s.retransmits,
  s.rtt_ns,
  CASE WHEN s.ts_ns = l.ts_ns THEN 'open' ELSE '' END AS ended,
  0 AS error
FROM sampled AS s
JOIN last_sample AS l USING (netns)
CROSS JOIN capture AS c
ANTI JOIN (SELECT * FROM matched WHERE seen) AS m
  ON m.netns = s.netns AND m.seen_cookie = s.cookie
    AND m.local_port = s.local_port AND m.remote_port = s.remote_port
LEFT JOIN named AS n ON n.pid = s.pid
WHERE s.state <> 'SYN_SENT';

COMMENT ON VIEW tcp_end IS 'one row per end of a TCP connection, closed or open; of tcp_connection, completed by the samples of sockets';
COMMENT ON COLUMN tcp_end.ts_ns IS 'ns · close, the end of the capture, or the last sample';
COMMENT ON COLUMN tcp_end.sock IS 'as in tcp_connection; NULL: known from samples only';
COMMENT ON COLUMN tcp_end.netns IS 'network namespace: the inode of /proc/PID/ns/net';
COMMENT ON COLUMN tcp_end.accepted IS 'true: accepted here; false: opened here; NULL: unknown';
COMMENT ON COLUMN tcp_end.family IS '2 IPv4, 10 IPv6 (which may carry IPv4)';
COMMENT ON COLUMN tcp_end.local_addr IS 'local IP address';
COMMENT ON COLUMN tcp_end.local_port IS 'local port';
COMMENT ON COLUMN tcp_end.remote_addr IS 'peer''s IP address';
COMMENT ON COLUMN tcp_end.remote_port IS 'peer''s port';
COMMENT ON COLUMN tcp_end.pid IS 'process that opened or accepted it, else one that had it open; NULL if unknown';
COMMENT ON COLUMN tcp_end.comm IS 'name of the thread, or of that process; empty if unknown';
COMMENT ON COLUMN tcp_end.opened_ts_ns IS 'ns · SYN sent, or (accepted) established; NULL before the capture';
COMMENT ON COLUMN tcp_end.dur_ns IS 'ns · from opened_ts_ns to ts_ns';
COMMENT ON COLUMN tcp_end.connect_ns IS 'ns · opened here: from the SYN to established';
COMMENT ON COLUMN tcp_end.accept_ns IS 'ns · accepted: established, waiting for the program to accept it';
COMMENT ON COLUMN tcp_end.send_bytes IS 'bytes · payload sent, each byte once; of an open one at its last sample';
COMMENT ON COLUMN tcp_end.recv_bytes IS 'bytes · payload received in order; of an open one at its last sample';
COMMENT ON COLUMN tcp_end.segs_out IS 'segments · sent, also without payload and again';
COMMENT ON COLUMN tcp_end.retransmits IS 'segments · sent again';
COMMENT ON COLUMN tcp_end.rtt_ns IS 'ns · the kernel''s smoothed round-trip time at the end';
COMMENT ON COLUMN tcp_end.ended IS 'as in tcp_connection; empty: its end was not recorded';
COMMENT ON COLUMN tcp_end.error IS 'errno · the socket''s error when it ended, 0 for none';
