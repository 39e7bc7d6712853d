-- pool_exhausted   Requests wait for a free connection to a server.
--
-- Version:   1
-- Title:     {service} waits for a free connection to {object}
-- Resource:  lock
-- Threshold: its connections there are in use for 80 % of the time, and it
--            works on a quarter more requests at a time than it has connections
-- Unit:      share
-- Needs:     request, call, connection
-- Refines:   lock_wait, queue_wait, other_wait
-- Certainty: 0.85
-- Evidence:  stackledger query calls
-- Next:      a larger pool if {object} has room for more, else shorter use of
--            each connection: see what {object} does meanwhile in stackledger
--            attribute
-- Cost:      one pass over the calls
WITH used AS (
  SELECT
    r.layer,
    r.service,
    c.server_addr || ':' || c.server_port AS object,
    count(DISTINCT c.sock) AS connections,
    count(*) AS calls,
    scaled(sum(c.wall_ns)) AS wall_ns,
    max(c.ts_ns + c.wall_ns) - min(c.ts_ns) AS dur_ns
  FROM calls AS c
  JOIN spent AS r ON r.sock = c.owner_sock AND r.recv_ts_ns = c.owner_recv_ts_ns
  GROUP BY ALL
), served AS (
  SELECT layer, service, scaled(sum(end_ts_ns - ts_ns)) AS wall_ns
  FROM spent
  WHERE pid IS NOT NULL
  GROUP BY ALL
), waits AS (
  SELECT layer, service, sum(explained_ns) AS ns,
    sum(explained_ns::DOUBLE * typical_ns) / sum(explained_ns) AS typical_ns
  FROM spent_part
  WHERE part IN ('lock', 'queue')
  GROUP BY ALL
)
SELECT
  u.layer,
  u.service,
  u.object,
  w.ns::BIGINT AS explained_ns,
  w.typical_ns::BIGINT AS typical_ns,
  NULL AS severity,
  u.wall_ns / (u.dur_ns * u.connections) AS measured,
  0.8 AS threshold,
  [
    figure('connections', u.connections, 'connections'),
    figure('requests at a time, mean', r.wall_ns / u.dur_ns, 'requests'),
    figure('in use', u.wall_ns / (u.dur_ns * u.connections), 'share'),
    figure('calls on each', u.calls / u.connections, 'calls')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM used AS u
JOIN served AS r USING (layer, service)
JOIN waits AS w USING (layer, service)
WHERE u.dur_ns > 0 AND u.wall_ns >= 0.8 * u.dur_ns * u.connections
  AND r.wall_ns >= 1.25 * u.dur_ns * u.connections
  AND u.calls >= 10 * u.connections
ORDER BY explained_ns DESC, u.layer, u.service, u.object
