-- cpu_steal   The hypervisor gives this machine's CPUs to others.
--
-- Version:   1
-- Title:     the hypervisor takes CPU time away
-- Resource:  cpu
-- Threshold: a tenth of the CPU time that was wanted was stolen
-- Unit:      share
-- Needs:     request, host_cpu
-- Refines:   cpu_wait, queue_wait
-- Certainty: 0.8
-- Evidence:  stackledger query mpstat
-- Next:      another host or instance type: neither the service nor this
--            machine can mend it
-- Cost:      one pass over host_cpu
WITH clock AS (
  SELECT
    sum(steal_ns) AS steal_ns,
    sum(user_ns + system_ns) AS busy_ns,
    sum(user_ns + system_ns + steal_ns + idle_ns + iowait_ns) AS all_ns
  FROM host_cpu
), stolen AS (
  SELECT
    c.steal_ns / nullif(c.busy_ns + c.steal_ns, 0) AS share,
    -- Whoever is to run waits where its CPU is stolen, or where all are busy.
    c.steal_ns / nullif(
      c.steal_ns + c.all_ns * pow(c.busy_ns / nullif(c.all_ns, 0), n.cpus), 0
    ) AS of_waits
  FROM clock AS c, capture AS n
), whole AS (
  SELECT
    sum(ns) AS ns,
    sum(ns * typical_ns) / nullif(sum(ns), 0) AS typical_ns
  FROM (
    SELECT
      p.explained_ns
        * CASE WHEN p.part = 'cpu' THEN s.share ELSE s.of_waits END AS ns,
      p.typical_ns::DOUBLE AS typical_ns
    FROM spent_part AS p, stolen AS s
    WHERE p.part IN ('cpu', 'runq', 'queue')
  )
)
SELECT
  'host' AS layer,
  '' AS service,
  '' AS object,
  w.ns::BIGINT AS explained_ns,
  w.typical_ns::BIGINT AS typical_ns,
  NULL AS severity,
  s.share AS measured,
  0.1 AS threshold,
  [figure('stolen of the CPU time wanted', s.share, 'share')] AS evidence,
  []::VARCHAR[] AS doubts
FROM whole AS w, stolen AS s
WHERE s.share >= 0.1
ORDER BY explained_ns
