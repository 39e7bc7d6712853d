-- retransmits   Packets are lost and sent again, and requests wait for them.
--
-- Version:   1
-- Title:     {service} waits for packets that were lost on the way to {object}
-- Resource:  net
-- Threshold: one segment in a hundred is sent again; a sound network stays
--            below one in a thousand
-- Unit:      share
-- Needs:     request, tcp_retransmit
-- Refines:   network_wait, slow_downstream
-- Certainty: 0.97
-- Evidence:  stackledger query retransmits
-- Next:      look for drops on the way: stackledger query tcpdrop and nicstat
--            here, the same at {object}; full buffers and overloaded links drop
--            first
-- Cost:      one pass over tcp_retransmit, matched to calls by socket and time
WITH again AS (
  SELECT sock, ts_ns, kind FROM tcp_retransmit
), ends AS (
  -- The request of a call is answered from another socket.
  SELECT c.sock, c.ts_ns, c.owner_sock, c.owner_recv_ts_ns, c.wall_ns,
    c.wait_ns, c.callee_wall_ns, c.server_addr, c.server_port,
    c.sock AS end_sock
  FROM calls AS c
  UNION ALL
  SELECT c.sock, c.ts_ns, c.owner_sock, c.owner_recv_ts_ns, c.wall_ns,
    c.wait_ns, c.callee_wall_ns, c.server_addr, c.server_port, e.request_sock
  FROM calls AS c
  JOIN edge AS e ON e.call_sock = c.sock AND e.call_ts_ns = c.ts_ns
), matched AS (
  SELECT c.*, a.ts_ns AS again_ts_ns, a.kind
  FROM again AS a
  ASOF JOIN ends AS c ON c.end_sock = a.sock AND c.ts_ns <= a.ts_ns
), hit AS (
  SELECT
    sock,
    ts_ns,
    any_value(owner_sock) AS owner_sock,
    any_value(owner_recv_ts_ns) AS owner_recv_ts_ns,
    any_value(server_addr || ':' || server_port) AS object,
    any_value(greatest(0, wait_ns - coalesce(callee_wall_ns, 0))) AS ns,
    count(*) AS packets,
    count(*) FILTER (kind = 'timeout') AS timeouts
  FROM matched
  WHERE again_ts_ns <= ts_ns + wall_ns
  GROUP BY sock, ts_ns
), root AS (
  SELECT
    r.layer,
    r.service,
    h.object,
    r.root_sock,
    r.root_recv_ts_ns,
    sum(r.share * h.ns) AS ns,
    count(*) AS calls,
    sum(h.packets) AS packets,
    sum(h.timeouts) AS timeouts
  FROM hit AS h
  JOIN spent AS r ON r.sock = h.owner_sock AND r.recv_ts_ns = h.owner_recv_ts_ns
  GROUP BY ALL
), sent AS (
  SELECT
    sum(value) FILTER (name = 'OutSegs') AS segments,
    sum(value) FILTER (name = 'RetransSegs') AS again
  FROM host_protocol
  WHERE protocol = 'Tcp'
    AND netns IN (SELECT netns FROM tcp_retransmit)
), found AS (
  SELECT
    layer,
    service,
    object,
    sum(ns)::BIGINT AS explained_ns,
    (sum(ns * ns) / nullif(sum(ns), 0))::BIGINT AS typical_ns,
    sum(calls) AS calls,
    sum(packets) AS packets,
    sum(timeouts) AS timeouts
  FROM root
  GROUP BY ALL
  UNION ALL
  -- Towards clients that are not traced, the ledger ends with the send.
  SELECT 'host', remote_addr, remote_addr, NULL, NULL, 0, count(*),
    count(*) FILTER (kind = 'timeout')
  FROM tcp_retransmit
  WHERE NOT EXISTS (SELECT 1 FROM root)
  GROUP BY remote_addr
  QUALIFY row_number() OVER (ORDER BY count(*) DESC, remote_addr) = 1
)
SELECT
  f.layer,
  f.service,
  f.object,
  f.explained_ns,
  f.typical_ns,
  CASE
    WHEN s.again >= 10 AND s.again >= 0.01 * (s.segments + s.again)
      THEN 'warning'
    WHEN s.again >= 10 AND s.again >= 0.001 * (s.segments + s.again)
      THEN 'note'
  END AS severity,
  s.again / nullif(s.segments + s.again, 0) AS measured,
  0.01 AS threshold,
  [
    figure(
      'segments sent again', s.again / nullif(s.segments + s.again, 0), 'share'
    ),
    figure('packets sent again', f.packets, 'packets'),
    figure('of them after a timeout', f.timeouts, 'packets'),
    figure('calls they hit', f.calls, 'calls')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM found AS f, sent AS s
ORDER BY f.explained_ns DESC NULLS LAST, f.layer, f.service, f.object
