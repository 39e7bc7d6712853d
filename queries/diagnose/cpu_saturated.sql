-- cpu_saturated   The CPUs are busy all the time, whoever waits for them.
--
-- Version:   1
-- Title:     the CPUs are busy all the time, most of all with {object}
-- Resource:  cpu
-- Threshold: 95 % of the CPU time used, and more threads that want a CPU than
--            there are
-- Unit:      share
-- Needs:     host_cpu, process_stat
-- Certainty: 0.9
-- Evidence:  stackledger query pidstat
-- Next:      stackledger query pidstat: who uses them; then less work there, or
--            more CPUs
-- Cost:      one pass over host_cpu and process_stat
WITH busy AS (
  SELECT
    sum(user_ns + system_ns + steal_ns)
      / nullif(
        sum(user_ns + system_ns + iowait_ns + steal_ns + idle_ns), 0
      ) AS share,
    avg(running) AS running
  FROM host_cpu
), hog AS (
  SELECT
    coalesce(l.layer, 'host') AS layer,
    -- `python -c` names no script.
    CASE WHEN l.service LIKE '-%' THEN p.comm ELSE
      coalesce(l.service, nullif(p.comm, ''), 'unknown') END AS service,
    sum(coalesce(p.cpu_ns, p.user_ns + p.system_ns)) AS cpu_ns
  FROM process_stat AS p
  LEFT JOIN process_layer AS l USING (pid)
  GROUP BY ALL
  ORDER BY cpu_ns DESC NULLS LAST, service
  LIMIT 1
)
SELECT
  'host' AS layer,
  '' AS service,
  h.service AS object,
  NULL::BIGINT AS explained_ns,
  NULL::BIGINT AS typical_ns,
  -- Where there are requests, the ledger says whether any waits.
  CASE
    WHEN EXISTS (SELECT 1 FROM spent) THEN 'note'
    ELSE 'warning'
  END AS severity,
  b.share AS measured,
  0.95 AS threshold,
  [
    figure('CPUs busy', b.share, 'share'),
    figure('threads running or waiting to, mean', b.running, 'threads'),
    figure(h.service || ' uses', h.cpu_ns / s.dur_ns, 'CPUs')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM busy AS b, hog AS h, span AS s, capture AS c
WHERE b.share >= 0.95 AND b.running > c.cpus
ORDER BY measured
