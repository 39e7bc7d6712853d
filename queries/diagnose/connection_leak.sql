-- connection_leak   Connections are opened, or closed by the peer, and stay.
--
-- Version:   2
-- Title:     {service} does not close its connections to {object}
-- Resource:  files
-- Threshold: 20 sockets in CLOSE_WAIT: that state lasts until the program
--            closes its end; or 20 more to one server that carry nothing any
--            more, steadily: a pool uses those that it has, and stops to grow
-- Unit:      sockets
-- Needs:     socket
-- Refines:   descriptor_leak, connection_churn
-- Certainty: 0.9
-- Evidence:  stackledger query ss
-- Next:      look for a path in {service} without close, as after an error;
--            tell apart by state: in CLOSE_WAIT {object} has closed its end,
--            ESTABLISHED are open at both ends, and use up its limit, too
-- Cost:      two passes over socket
WITH listening AS (
  SELECT DISTINCT netns, local_port FROM socket WHERE state = 'LISTEN'
), used AS (
  SELECT
    s.pid,
    s.ts_ns,
    s.state,
    CASE
      WHEN l.local_port IS NULL THEN s.remote_addr || ':' || s.remote_port
      ELSE s.remote_addr
    END AS peer,
    l.local_port IS NULL AS opened,
    s.acked_bytes + s.received_bytes
      = lag(s.acked_bytes + s.received_bytes) OVER one AS idle
  FROM socket AS s
  LEFT JOIN listening AS l USING (netns, local_port)
  WHERE s.protocol = 'tcp' AND s.pid IS NOT NULL
    AND s.state IN ('CLOSE_WAIT', 'ESTABLISHED')
  WINDOW one AS (PARTITION BY s.cookie ORDER BY s.ts_ns)
), half_closed AS (
  SELECT pid, ts_ns, mode(peer) AS peer, count(*) AS sockets
  FROM used
  WHERE state = 'CLOSE_WAIT'
  GROUP BY ALL
), forgotten AS (
  SELECT pid, peer, ts_ns, count(*) AS sockets
  FROM used
  WHERE state = 'ESTABLISHED' AND opened AND idle
  GROUP BY ALL
), found AS (
  SELECT
    pid,
    arg_max(peer, ts_ns) AS peer,
    'in CLOSE_WAIT' AS what,
    arg_max(sockets, ts_ns) AS sockets,
    arg_min(sockets, ts_ns) AS at_first,
    count(*) AS samples
  FROM half_closed
  GROUP BY pid
  HAVING arg_max(sockets, ts_ns) >= 20
  UNION ALL
  SELECT
    pid,
    peer,
    'open and not used',
    arg_max(sockets, ts_ns),
    arg_min(sockets, ts_ns),
    count(*)
  FROM forgotten
  GROUP BY pid, peer
  HAVING count(*) >= 3
    AND arg_max(sockets, ts_ns) - arg_min(sockets, ts_ns) >= 20
    AND regr_slope(sockets, ts_ns / 1e9) > 0
    AND regr_r2(sockets, ts_ns / 1e9) >= 0.8
)
SELECT
  l.layer,
  l.service,
  coalesce(f.peer, 'its peers') AS object,
  NULL::BIGINT AS explained_ns,
  NULL::BIGINT AS typical_ns,
  CASE WHEN f.sockets > f.at_first THEN 'warning' ELSE 'note' END AS severity,
  f.sockets AS measured,
  20 AS threshold,
  [
    figure(f.what || ' at the end', f.sockets, 'sockets'),
    figure('at first', f.at_first, 'sockets'),
    figure('samples', f.samples, 'samples')
  ] AS evidence,
  CASE
    WHEN f.samples >= 10 THEN []::VARCHAR[]
    ELSE ['only seconds were seen: a start looks like that, too']
  END AS doubts
FROM found AS f
JOIN process_layer AS l USING (pid)
ORDER BY f.sockets DESC, l.service, f.pid, object
