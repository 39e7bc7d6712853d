-- cpu_quota   A cgroup's quota holds its threads back although CPUs are free.
--
-- Version:   1
-- Title:     {service} is held back by the CPU quota of {object}
-- Resource:  runq
-- Threshold: a tenth of the quota's periods end throttled
-- Unit:      share
-- Needs:     request, cgroup_stat
-- Refines:   cpu_wait, queue_wait, lock_wait, cpu_contention, cpu_time,
--            network_wait
-- Certainty: 0.95
-- Evidence:  stackledger query cgroups
-- Next:      raise the quota of {object} (cpu.max, limits.cpu), or fewer
--            threads that run at once
-- Cost:      one pass over cgroup_stat and process_stat
WITH held AS (
  SELECT
    cgroup,
    sum(throttled_periods) / nullif(sum(periods), 0) AS share,
    sum(throttled_ns) AS throttled_ns,
    sum(periods) AS periods
  FROM cgroup_stat
  GROUP BY cgroup
  HAVING share >= 0.1 AND sum(throttled_ns) > 0
), member AS (
  SELECT DISTINCT p.pid, h.cgroup
  FROM process AS p
  JOIN held AS h
    ON p.cgroup = h.cgroup OR starts_with(p.cgroup, h.cgroup || '/')
), scheduled AS (
  SELECT pid, sum(runq_ns) AS runq_ns FROM process_stat GROUP BY pid
), own AS (
  SELECT
    pid,
    layer,
    service,
    scaled(sum(runq_ns)) AS runq_ns,
    scaled(sum(queue_ns)) AS queue_ns
  FROM spent
  WHERE pid IS NOT NULL
  GROUP BY ALL
), woken AS (
  SELECT
    pid,
    o.layer,
    o.service,
    s.runq_ns,
    least(
      1, greatest(0, s.runq_ns - o.runq_ns) / nullif(o.queue_ns, 0)
    ) AS share
  FROM own AS o
  JOIN scheduled AS s USING (pid)
), guessed AS (
  -- Version 1 does not tell whose group it is: who waits most for a CPU.
  SELECT w.layer, w.service, sum(w.runq_ns) AS runq_ns
  FROM woken AS w
  GROUP BY ALL
  ORDER BY runq_ns DESC
  LIMIT 1
), chosen AS (
  SELECT DISTINCT o.pid, h.cgroup, m.pid IS NOT NULL AS known
  FROM own AS o
  CROSS JOIN held AS h
  LEFT JOIN member AS m ON m.pid = o.pid AND m.cgroup = h.cgroup
  WHERE m.pid IS NOT NULL
    OR (
      NOT EXISTS (SELECT 1 FROM member AS x WHERE x.cgroup = h.cgroup)
      AND (o.layer, o.service) IN (SELECT (layer, service) FROM guessed)
    )
), root AS (
  SELECT
    r.layer,
    r.service,
    c.cgroup,
    bool_and(c.known) AS known,
    r.root_sock,
    r.root_recv_ts_ns,
    sum(r.share * (r.runq_ns + r.queue_ns * coalesce(w.share, 0))) AS ns
  FROM spent AS r
  JOIN chosen AS c USING (pid)
  LEFT JOIN woken AS w USING (pid)
  GROUP BY r.layer, r.service, c.cgroup, r.root_sock, r.root_recv_ts_ns
)
SELECT
  r.layer,
  r.service,
  h.cgroup AS object,
  sum(r.ns)::BIGINT AS explained_ns,
  (sum(r.ns * r.ns) / nullif(sum(r.ns), 0))::BIGINT AS typical_ns,
  NULL AS severity,
  any_value(h.share) AS measured,
  0.1 AS threshold,
  [
    figure('periods throttled', any_value(h.share), 'share'),
    figure('held back, over its CPUs', any_value(h.throttled_ns), 'ns')
  ] AS evidence,
  CASE
    WHEN bool_and(r.known) THEN []::VARCHAR[]
    ELSE ['which processes are in that cgroup was not recorded']
  END AS doubts
FROM root AS r
JOIN held AS h USING (cgroup)
GROUP BY r.layer, r.service, h.cgroup
ORDER BY explained_ns DESC, r.layer, r.service, object
