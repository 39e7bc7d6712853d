-- connection_churn   A service opens connections for each request.
--
-- Version:   2
-- Title:     {service} opens new connections to {object} all the time instead
--            of keeping them
-- Resource:  net
-- Threshold: 0.9 connections opened per request that it serves, and 20 a
--            second; its time is what connecting takes and, unless a full queue
--            dropped some, waiting until the other side has accepted
-- Unit:      connections
-- Needs:     request, tcp_connection
-- Refines:   accept_queue
-- Certainty: 0.9
-- Evidence:  stackledger query tcprate
-- Next:      keep connections alive, or use a pool: each new one costs a round
--            trip, a wait to be accepted, memory and a port in TIME_WAIT
-- Cost:      two passes over tcp_connection, matched to requests by socket
WITH opened AS (
  SELECT
    c.pid,
    count(*) AS connections,
    sum(c.connect_ns) AS connect_ns,
    max(c.connect_ns) AS longest_ns,
    quantile_cont(c.dur_ns, 0.5) AS age_ns,
    mode(c.remote_addr || ':' || c.remote_port) AS peer
  FROM tcp_connection AS c, span AS s
  WHERE NOT c.accepted AND c.opened_ts_ns IS NOT NULL
  GROUP BY c.pid
  HAVING count(*) * 1e9 >= 20 * any_value(s.dur_ns)
), served AS (
  -- Of a few requests the caller may be unknown: another layer then.
  SELECT
    pid,
    mode(layer) AS layer,
    mode(service) AS service,
    scaled(count(*)) AS requests,
    avg(share) AS share
  FROM spent
  WHERE pid IN (SELECT pid FROM opened)
  GROUP BY pid
), accepted AS (
  SELECT sock, opened_ts_ns, opened_ts_ns + accept_ns AS accepted_ts_ns
  FROM tcp_connection
  WHERE accepted AND accept_ns IS NOT NULL AND opened_ts_ns IS NOT NULL
), late AS (
  SELECT
    r.sock,
    r.recv_ts_ns,
    r.share * least(r.queue_ns, greatest(0, a.accepted_ts_ns - r.ts_ns)) AS ns
  FROM spent AS r
  ASOF JOIN accepted AS a ON a.sock = r.sock AND a.opened_ts_ns <= r.recv_ts_ns
  WHERE r.ts_ns < a.accepted_ts_ns
), called AS (
  SELECT o.pid, mode(r.service) AS service, sum(l.ns) AS ns
  FROM spent AS o
  JOIN calls AS c
    ON c.owner_sock = o.sock AND c.owner_recv_ts_ns = o.recv_ts_ns
  JOIN edge AS e ON e.call_sock = c.sock AND e.call_ts_ns = c.ts_ns
  JOIN spent AS r
    ON r.sock = e.request_sock AND r.recv_ts_ns = e.request_recv_ts_ns
  LEFT JOIN late AS l ON l.sock = r.sock AND l.recv_ts_ns = r.recv_ts_ns
  WHERE o.pid IN (SELECT pid FROM opened)
  GROUP BY o.pid
), waited AS (
  SELECT pid, service, CASE WHEN f.number = 0 THEN ns END AS ns
  FROM called, (
    SELECT coalesce(sum(value), 0) AS number
    FROM host_protocol
    WHERE name = 'ListenOverflows'
  ) AS f
)
SELECT
  r.layer,
  r.service,
  coalesce(w.service, o.peer, '') AS object,
  (o.connect_ns * r.share + coalesce(w.ns, 0))::BIGINT AS explained_ns,
  ((o.connect_ns + coalesce(w.ns, 0)) / o.connections)::BIGINT AS typical_ns,
  CASE
    WHEN o.connections * 1e9 >= 50 * s.dur_ns THEN 'warning'
    ELSE 'note'
  END AS severity,
  o.connections / r.requests AS measured,
  0.9 AS threshold,
  [
    figure('connections opened a second', o.connections * 1e9 / s.dur_ns, '/s'),
    figure('for each request', o.connections / r.requests, 'connections'),
    figure('to connect, mean', o.connect_ns / o.connections, 'ns'),
    figure('to be accepted, mean', w.ns / o.connections, 'ns'),
    figure('they live, median', o.age_ns, 'ns')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM opened AS o
JOIN served AS r USING (pid)
LEFT JOIN waited AS w USING (pid), span AS s
WHERE o.connections >= 0.9 * r.requests
ORDER BY o.connections DESC, r.layer, r.service, o.pid
