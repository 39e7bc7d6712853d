-- delayed_ack   Two small writes wait 40 ms for an acknowledgement.
--
-- Version:   1
-- Title:     {service} waits 40 ms at a time for {object}: Nagle against
--            delayed acknowledgement
-- Resource:  net
-- Threshold: at least 5 calls lose 36 to 60 ms between the two ends with
--            nothing sent again, and they are half of what calls there lose;
--            the kernel delays an acknowledgement by 40 ms (TCP_DELACK_MIN),
--            and Nagle's algorithm holds the second small write back until it
--            comes
-- Unit:      share
-- Needs:     request, call
-- Refines:   network_wait, other_wait
-- Certainty: 0.9
-- Evidence:  stackledger query calls
-- Next:      send head and body in one write (or set TCP_NODELAY) at both ends
--            of the connection between {service} and {object}
-- Cost:      one pass over the calls
WITH lost AS (
  SELECT
    c.owner_sock,
    c.owner_recv_ts_ns,
    coalesce(
      s.layer || ' ' || s.service, c.server_addr || ':' || c.server_port
    ) AS object,
    greatest(0, c.wait_ns - c.callee_wall_ns) AS ns
  FROM calls AS c
  JOIN edge AS e ON e.call_sock = c.sock AND e.call_ts_ns = c.ts_ns
  LEFT JOIN requests AS s
    ON s.sock = e.request_sock AND s.recv_ts_ns = e.request_recv_ts_ns
  WHERE c.callee_wall_ns IS NOT NULL
), placed AS (
  SELECT
    r.layer,
    r.service,
    l.object,
    r.share * l.ns AS ns,
    l.ns BETWEEN 36000000 AND 60000000 AS held
  FROM lost AS l
  JOIN spent AS r ON r.sock = l.owner_sock AND r.recv_ts_ns = l.owner_recv_ts_ns
), found AS (
  SELECT
    layer,
    service,
    object,
    sum(ns) AS lost_ns,
    sum(ns) FILTER (held) AS ns,
    sum(ns * ns) FILTER (held) AS square,
    count(*) FILTER (held) AS calls,
    count(*) AS all_calls
  FROM placed
  GROUP BY ALL
)
SELECT
  layer,
  service,
  object,
  ns::BIGINT AS explained_ns,
  (square / nullif(ns, 0))::BIGINT AS typical_ns,
  NULL AS severity,
  ns / nullif(lost_ns, 0) AS measured,
  0.5 AS threshold,
  [
    figure('calls held for about 40 ms', calls, 'calls'),
    figure('of all calls there', calls / all_calls, 'share')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM found
WHERE calls >= 5 AND ns >= 0.5 * lost_ns
ORDER BY explained_ns DESC, layer, service, object
