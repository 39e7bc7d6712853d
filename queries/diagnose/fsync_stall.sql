-- fsync_stall   Requests wait until what they wrote is on the disk.
--
-- Version:   1
-- Title:     {service} waits for fsync on {object}
-- Resource:  disk
-- Threshold: 5 % of all requests' time inside fsync and fdatasync
-- Unit:      share
-- Needs:     request, fsync
-- Refines:   disk_wait
-- Certainty: 0.98
-- Evidence:  stackledger query fsyncs
-- Next:      make fewer things durable at a time (group commit, a journal on a
--            disk of its own), or a disk with a shorter flush: stackledger
--            query journal shows what the file system adds
-- Cost:      one pass over fsync, matched to requests by thread and time
WITH hit AS (
  SELECT
    r.layer,
    r.service,
    r.root_sock,
    r.root_recv_ts_ns,
    f.dev,
    r.share * f.dur_ns AS ns,
    f.dur_ns
  FROM (SELECT *, ts_ns - dur_ns AS begun_ts_ns FROM fsync WHERE error = 0) AS f
  ASOF JOIN (SELECT * FROM spent WHERE tid IS NOT NULL) AS r
    ON r.tid = f.tid AND r.recv_ts_ns <= f.begun_ts_ns
  WHERE f.begun_ts_ns < r.end_ts_ns
), root AS (
  SELECT layer, service, dev, root_sock, root_recv_ts_ns, sum(ns) AS ns,
    count(*) AS calls, list(dur_ns) AS each_ns
  FROM hit
  GROUP BY ALL
), commits AS (
  SELECT quantile_cont(dur_ns, 0.99) AS p99_ns FROM journal
), found AS (
  SELECT
    layer,
    service,
    dev,
    sum(ns) AS ns,
    sum(ns * ns) / sum(ns) AS typical_ns,
    sum(calls) AS calls, list_sort(flatten(list(each_ns))) AS each_ns
  FROM root
  WHERE ns > 0
  GROUP BY ALL
)
SELECT
  f.layer,
  f.service,
  coalesce(n.name, (f.dev >> 20) || ':' || (f.dev & 1048575)) AS object,
  least(f.ns, p.disk_ns)::BIGINT AS explained_ns,
  f.typical_ns::BIGINT AS typical_ns,
  NULL AS severity,
  least(f.ns, p.disk_ns) / nullif(t.wall_ns, 0) AS measured,
  0.05 AS threshold,
  [
    figure('fsyncs by requests', f.calls, 'calls'),
    figure('median', f.each_ns[ceil(len(f.each_ns) * 0.5)::INTEGER], 'ns'),
    figure('p99', f.each_ns[ceil(len(f.each_ns) * 0.99)::INTEGER], 'ns'),
    figure('of it a commit of the journal, p99', j.p99_ns, 'ns')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM found AS f
JOIN (
  SELECT layer, service, sum(explained_ns) AS disk_ns
  FROM spent_part
  WHERE part IN ('disk', 'other')
  GROUP BY ALL
) AS p USING (layer, service), spent_total AS t, commits AS j
LEFT JOIN disk AS n ON n.dev = f.dev
ORDER BY explained_ns DESC, f.layer, f.service, object
