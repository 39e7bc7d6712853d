-- socket_buffers   Senders are held back by a full buffer.
--
-- Version:   2
-- Title:     {service} is held back by {object}
-- Resource:  net
-- Threshold: for a tenth of the time with data to send, there was no room for
--            it; the kernel begins to count when an acknowledgement comes, so
--            this is the least: of answers that take ten round trips instead of
--            one it says 20 to 40 %
-- Unit:      share
-- Needs:     socket
-- Refines:   other_wait, network_wait
-- Certainty: 0.9
-- Evidence:  stackledger query buffers
-- Next:      a full send buffer: a larger SO_SNDBUF or net.ipv4.tcp_wmem; a
--            closed window: a larger SO_RCVBUF or net.ipv4.tcp_rmem, or a
--            receiver that reads sooner. What fits into the buffer moves once
--            in a round trip
-- Cost:      one pass over socket, matched to requests by address
WITH watched AS (
  SELECT
    cookie,
    max(pid) AS pid,
    any_value(replace(local_addr, '::ffff:', '')) AS local_addr,
    any_value(local_port) AS local_port,
    any_value(replace(remote_addr, '::ffff:', '')) AS remote_addr,
    any_value(remote_port) AS remote_port,
    max(ts_ns) - min(ts_ns) AS seen_ns,
    max(busy_ns) - min(busy_ns) AS busy_ns,
    max(peer_limited_ns) - min(peer_limited_ns) AS peer_ns,
    max(buffer_limited_ns) - min(buffer_limited_ns) AS buffer_ns,
    min(min_rtt_ns) AS rtt_ns,
    min(wmem_limit_bytes) AS buffer_bytes,
    min(peer_window_bytes) AS window_bytes
  FROM socket
  WHERE protocol = 'tcp' AND busy_ns IS NOT NULL
  GROUP BY cookie
), held AS (
  SELECT *, peer_ns >= buffer_ns AS by_peer
  FROM watched
  WHERE busy_ns > 0 AND peer_ns + buffer_ns >= 0.1 * busy_ns
), placed AS (
  -- Who answered on such a connection, and what it waited for itself.
  SELECT r.*, h.cookie, coalesce(h.rtt_ns, 0) AS rtt_ns, h.by_peer
  FROM spent AS r
  ASOF JOIN connection AS c ON c.sock = r.sock AND c.ts_ns <= r.recv_ts_ns
  JOIN held AS h
    ON h.local_port = c.local_port AND h.remote_port = c.remote_port
      AND h.local_addr = replace(c.local_addr, '::ffff:', '')
      AND h.remote_addr = replace(c.remote_addr, '::ffff:', '')
  WHERE c.accepted
), hit AS (
  SELECT layer, service,
    CASE WHEN by_peer THEN 'the receive window of its peers'
      ELSE 'its send buffers' END AS object,
    cookie, root_sock, root_recv_ts_ns,
    share * (other_ns + unexplained_ns) AS ns
  FROM placed
  UNION ALL
  -- Who asked, and waits when the last of it is sent: less a round trip.
  SELECT o.layer, o.service,
    CASE WHEN p.by_peer THEN 'its receive buffers'
      ELSE 'the send buffers of ' || p.layer || ' ' || p.service END,
    p.cookie, o.root_sock, o.root_recv_ts_ns,
    o.share * greatest(0, c.wait_ns - c.callee_wall_ns - p.rtt_ns)
  FROM placed AS p
  JOIN edge AS e
    ON e.request_sock = p.sock AND e.request_recv_ts_ns = p.recv_ts_ns
  JOIN calls AS c ON c.sock = e.call_sock AND c.ts_ns = e.call_ts_ns
  JOIN spent AS o
    ON o.sock = c.owner_sock AND o.recv_ts_ns = c.owner_recv_ts_ns
), fit AS (
  -- Not more than there was data to send: the rest was waited for otherwise.
  SELECT
    h.cookie,
    least(1, h.busy_ns::DOUBLE * s.dur_ns / nullif(h.seen_ns, 0)
      / nullif(scaled(sum(i.ns)), 0)) AS part
  FROM hit AS i
  JOIN held AS h USING (cookie), span AS s
  GROUP BY h.cookie, h.busy_ns, h.seen_ns, s.dur_ns
), root AS (
  SELECT i.layer, i.service, i.object, i.root_sock, i.root_recv_ts_ns,
    sum(i.ns * f.part) AS ns
  FROM hit AS i
  JOIN fit AS f USING (cookie)
  GROUP BY ALL
), taken AS (
  SELECT layer, service, object,
    sum(ns)::BIGINT AS explained_ns,
    (sum(ns * ns) / nullif(sum(ns), 0))::BIGINT AS typical_ns
  FROM root
  GROUP BY ALL
), about AS (
  SELECT DISTINCT layer, service, object, cookie FROM hit
  UNION ALL
  -- No request is known that it held back.
  SELECT coalesce(l.layer, 'host'), coalesce(l.service, ''),
    CASE WHEN h.by_peer THEN 'the receive window of its peers'
      ELSE 'its send buffers' END,
    h.cookie
  FROM held AS h
  LEFT JOIN process_layer AS l USING (pid)
  WHERE h.cookie NOT IN (SELECT cookie FROM hit)
), found AS (
  SELECT
    a.layer,
    a.service,
    a.object,
    sum(h.busy_ns) AS busy_ns,
    sum(h.peer_ns) / sum(h.busy_ns) AS peer_share,
    sum(h.buffer_ns) / sum(h.busy_ns) AS buffer_share,
    count(*) AS sockets,
    min(h.rtt_ns) AS rtt_ns,
    min(h.buffer_bytes) AS buffer_bytes,
    min(h.window_bytes) AS window_bytes
  FROM about AS a
  JOIN held AS h USING (cookie)
  GROUP BY ALL
)
SELECT
  f.layer,
  f.service,
  f.object,
  t.explained_ns,
  t.typical_ns,
  CASE
    -- Of less nobody waits long.
    WHEN t.explained_ns IS NOT NULL OR f.busy_ns < 0.05 * s.dur_ns THEN NULL
    WHEN f.peer_share + f.buffer_share >= 0.5 AND f.busy_ns >= 0.2 * s.dur_ns
      THEN 'warning'
    WHEN f.peer_share + f.buffer_share >= 0.2 THEN 'note'
  END AS severity,
  f.peer_share + f.buffer_share AS measured,
  0.1 AS threshold,
  [
    figure('held back by the peer''s window', f.peer_share, 'share'),
    figure('held back by the send buffer', f.buffer_share, 'share'),
    figure('of the time with data to send', f.busy_ns, 'ns'),
    figure('connections', f.sockets, 'connections'),
    figure('round trip, shortest', f.rtt_ns, 'ns'),
    figure('send buffer, smallest', f.buffer_bytes, 'bytes'),
    figure('the peer''s window, smallest', f.window_bytes, 'bytes')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM found AS f
LEFT JOIN taken AS t USING (layer, service, object), span AS s
ORDER BY t.explained_ns DESC NULLS LAST, measured DESC, f.layer, f.service,
  f.object
