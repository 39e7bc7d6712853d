-- commit_wait   Commits wait for the fsync of another session.
--
-- Version:   1
-- Title:     {service} makes commits wait for the fsync of others on {object}
-- Resource:  disk
-- Threshold: 5 % of all requests' time waiting for a lock while another session
--            is inside fsync
-- Unit:      share
-- Needs:     request, fsync
-- Refines:   lock_wait
-- Certainty: 0.9
-- Evidence:  stackledger query fsyncs
-- Next:      one session at a time writes the log for all that commit: a disk
--            with a shorter flush, the log on a disk of its own, or fewer
--            commits; PostgreSQL's wait event for it is WALWrite
-- Cost:      one pass over fsync, matched to requests by service and time
WITH flush AS (
  SELECT l.service, f.dev, f.dur_ns, f.ts_ns - f.dur_ns AS begun_ts_ns, f.ts_ns
  FROM fsync AS f
  JOIN process_layer AS l USING (pid)
  WHERE l.layer = 'database' AND f.error = 0
), behind AS (
  -- Who waits is let go when an fsync ends: the latest that began meanwhile.
  SELECT
    r.service,
    r.root_sock,
    r.root_recv_ts_ns,
    f.dev,
    r.share * r.lock_ns AS ns,
    f.dur_ns
  FROM (
    SELECT * FROM spent WHERE layer = 'database' AND lock_ns > 0
  ) AS r
  ASOF JOIN flush AS f
    ON f.service = r.service AND f.begun_ts_ns <= r.end_ts_ns
  WHERE f.ts_ns > r.recv_ts_ns
), root AS (
  SELECT
    service, dev, root_sock, root_recv_ts_ns, sum(ns) AS ns,
    median(dur_ns) AS flush_ns
  FROM behind
  GROUP BY ALL
), found AS (
  SELECT
    service,
    dev,
    sum(ns)::BIGINT AS explained_ns,
    (sum(ns * ns) / sum(ns))::BIGINT AS typical_ns,
    count(*) AS transactions,
    median(flush_ns) AS flush_ns
  FROM root
  WHERE ns > 0
  GROUP BY ALL
)
SELECT
  'database' AS layer,
  f.service,
  coalesce(n.name, (f.dev >> 20) || ':' || (f.dev & 1048575)) AS object,
  f.explained_ns,
  f.typical_ns,
  NULL AS severity,
  f.explained_ns / nullif(t.wall_ns, 0) AS measured,
  0.05 AS threshold,
  [
    figure('requests that have it', f.transactions, 'requests'),
    figure('the fsync that they wait for, median', f.flush_ns, 'ns')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM found AS f
CROSS JOIN spent_total AS t
LEFT JOIN disk AS n ON n.dev = f.dev
ORDER BY f.explained_ns DESC, f.service, object
