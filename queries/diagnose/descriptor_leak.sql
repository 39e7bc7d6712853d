-- descriptor_leak   A process opens files or sockets and never closes them.
--
-- Version:   1
-- Title:     {service} has more and more files open
-- Resource:  files
-- Threshold: 20 more, steadily, after its first third; a pool that fills stops
-- Unit:      files
-- Needs:     process_stat
-- Certainty: 0.8
-- Evidence:  stackledger query limits
-- Next:      ls -l /proc/{object}/fd: what there is most of; record --probe
--            file_open for who opens it. At its limit (ulimit -n) it fails
-- Cost:      one pass over process_stat
WITH sampled AS (
  SELECT
    p.pid,
    p.ts_ns,
    p.open_fds,
    min(p.ts_ns) OVER one AS first_ts_ns,
    max(p.ts_ns) OVER one AS last_ts_ns
  FROM process_stat AS p
  WHERE p.open_fds IS NOT NULL
  WINDOW one AS (PARTITION BY p.pid)
), trend AS (
  SELECT
    pid,
    arg_max(open_fds, ts_ns) AS open_fds,
    arg_max(open_fds, ts_ns) - arg_min(open_fds, ts_ns) AS grown,
    regr_slope(open_fds, ts_ns / 1e9) AS hz,
    regr_r2(open_fds, ts_ns / 1e9) AS r2,
    count(*) AS samples
  FROM sampled
  -- Of a few seconds, all but the first sample.
  WHERE ts_ns > first_ts_ns + CASE
    WHEN last_ts_ns - first_ts_ns < 10000000000 THEN 0
    ELSE (last_ts_ns - first_ts_ns) // 3
  END
  GROUP BY pid
  HAVING samples >= 3 AND grown >= 20 AND hz > 0 AND r2 >= 0.8
)
SELECT
  l.layer,
  l.service,
  t.pid::VARCHAR AS object,
  NULL::BIGINT AS explained_ns,
  NULL::BIGINT AS typical_ns,
  'warning' AS severity,
  t.grown AS measured,
  20 AS threshold,
  [
    figure('open at the end', t.open_fds, 'files'),
    figure('more every second', t.hz, 'files'),
    figure('samples', t.samples, 'samples')
  ] AS evidence,
  CASE
    WHEN t.samples >= 10 THEN []::VARCHAR[]
    ELSE ['only seconds were seen: a start looks like that, too']
  END AS doubts
FROM trend AS t
JOIN process_layer AS l USING (pid)
ORDER BY t.hz DESC, t.pid
