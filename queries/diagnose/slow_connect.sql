-- slow_connect   Connecting takes long, or fails.
--
-- Version:   1
-- Title:     {service} waits long to connect to {object}, or fails to
-- Resource:  net
-- Threshold: 100 ms to connect: more than a far round trip; a second or more is
--            a lost SYN
-- Unit:      ns
-- Needs:     request, tcp_connection
-- Refines:   other_wait, network_wait
-- Certainty: 0.9
-- Evidence:  stackledger query tcpconnlat --param min_ns=100000000
-- Next:      refused or timed out: is {object} up, is its accept queue full
--            (stackledger query limits)? keep connections instead of opening
--            them anew
-- Cost:      one pass over tcp_connection, matched to requests by thread and
--            time
WITH slow AS (
  SELECT
    pid,
    tid,
    opened_ts_ns,
    remote_addr || ':' || remote_port AS object,
    coalesce(connect_ns, dur_ns) AS waited_ns,
    connect_ns IS NULL AS failed
  FROM tcp_connection
  WHERE NOT accepted AND opened_ts_ns IS NOT NULL
    AND (connect_ns >= 100000000 OR ended IN ('refused', 'timed_out', 'failed'))
), hit AS (
  SELECT
    r.layer,
    r.service,
    c.object,
    r.share * c.waited_ns AS ns,
    c.failed,
    c.waited_ns
  FROM slow AS c
  ASOF JOIN (SELECT * FROM spent WHERE tid IS NOT NULL) AS r
    ON r.tid = c.tid AND r.recv_ts_ns <= c.opened_ts_ns
  WHERE c.opened_ts_ns < r.end_ts_ns
), found AS (
  SELECT
    layer,
    service,
    object,
    sum(ns) AS ns,
    sum(ns * ns) AS square,
    count(*) AS connections,
    count(*) FILTER (failed) AS failed,
    max(waited_ns) AS longest_ns
  FROM hit
  GROUP BY ALL
)
SELECT
  f.layer,
  f.service,
  f.object,
  f.ns::BIGINT AS explained_ns,
  (f.square / nullif(f.ns, 0))::BIGINT AS typical_ns,
  CASE WHEN f.failed >= 5 THEN 'warning' END AS severity,
  f.longest_ns AS measured,
  100000000 AS threshold,
  [
    figure('slow or failed', f.connections, 'connections'),
    figure('of them failed', f.failed, 'connections'),
    figure('longest', f.longest_ns, 'ns')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM found AS f
ORDER BY explained_ns DESC, f.layer, f.service, f.object
