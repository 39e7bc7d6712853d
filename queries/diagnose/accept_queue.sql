-- accept_queue   Connections wait to be accepted, or are turned away.
--
-- Version:   1
-- Title:     {service} is late to accept connections
-- Resource:  queue
-- Threshold: 5 % of all requests' time waiting for accept, or connections
--            dropped by a full queue
-- Unit:      share
-- Needs:     request, tcp_connection
-- Refines:   queue_wait, network_wait, other_wait, retransmits
-- Certainty: 0.95
-- Evidence:  stackledger query limits
-- Next:      accept sooner (a thread of its own), a longer backlog (listen(),
--            net.core.somaxconn), or keep connections alive, so that fewer have
--            to be accepted
-- Cost:      one pass over tcp_connection, matched to requests by socket
WITH accepted AS (
  SELECT
    sock,
    opened_ts_ns,
    opened_ts_ns + accept_ns AS accepted_ts_ns,
    accept_ns
  FROM tcp_connection
  WHERE accepted AND accept_ns IS NOT NULL AND opened_ts_ns IS NOT NULL
), hit AS (
  SELECT
    r.layer,
    r.service,
    r.root_sock,
    r.root_recv_ts_ns,
    r.share * least(r.queue_ns, greatest(0, a.accepted_ts_ns - r.ts_ns)) AS ns,
    a.accept_ns
  FROM spent AS r
  ASOF JOIN accepted AS a ON a.sock = r.sock AND a.opened_ts_ns <= r.recv_ts_ns
  WHERE r.ts_ns < a.accepted_ts_ns
), refused AS (
  -- A full backlog drops what the caller sends until there is room.
  SELECT
    r.layer,
    r.service,
    o.root_sock,
    o.root_recv_ts_ns,
    o.share * greatest(0, c.wait_ns - c.callee_wall_ns) AS ns,
    a.accept_ns
  FROM spent AS r
  ASOF JOIN accepted AS a ON a.sock = r.sock AND a.opened_ts_ns <= r.recv_ts_ns
  JOIN edge AS e
    ON e.request_sock = r.sock AND e.request_recv_ts_ns = r.recv_ts_ns
  JOIN calls AS c ON c.sock = e.call_sock AND c.ts_ns = e.call_ts_ns
  JOIN spent AS o ON o.sock = c.owner_sock AND o.recv_ts_ns = c.owner_recv_ts_ns
  WHERE r.ts_ns < a.accepted_ts_ns
    AND (
      SELECT sum(value) FROM host_protocol WHERE name = 'ListenOverflows'
    ) > 0
), root AS (
  SELECT layer, service, root_sock, root_recv_ts_ns, sum(ns) AS ns,
    max(accept_ns) AS accept_ns, count(*) AS requests
  FROM (FROM hit UNION ALL FROM refused)
  GROUP BY ALL
), turned_away AS (
  SELECT
    coalesce(sum(value) FILTER (name = 'ListenOverflows'), 0) AS overflows,
    coalesce(sum(value) FILTER (name = 'ListenDrops'), 0) AS drops
  FROM host_protocol
  WHERE protocol = 'TcpExt'
), backlog AS (
  SELECT max(backlog / nullif(backlog_limit, 0)) AS share FROM socket
), found AS (
  SELECT
    layer,
    service,
    sum(ns) AS ns,
    sum(ns * ns) AS square,
    sum(requests) AS requests,
    max(accept_ns) AS longest_ns
  FROM root
  GROUP BY ALL
)
SELECT
  f.layer,
  f.service,
  '' AS object,
  f.ns::BIGINT AS explained_ns,
  (f.square / nullif(f.ns, 0))::BIGINT AS typical_ns,
  CASE
    WHEN a.overflows > 0 AND row_number() OVER (ORDER BY f.ns DESC) = 1
      THEN 'warning'
  END AS severity,
  f.ns / nullif(t.wall_ns, 0) AS measured,
  0.05 AS threshold,
  [
    figure('requests whose connection waited', f.requests, 'requests'),
    figure('longest wait to be accepted', f.longest_ns, 'ns'),
    figure('fullest backlog of the host', b.share, 'share'),
    figure('connections dropped by a full backlog', a.overflows, 'connections')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM found AS f, turned_away AS a, backlog AS b, spent_total AS t
ORDER BY explained_ns DESC, f.layer, f.service
