-- memory_pressure   Tasks stop to make room in memory.
--
-- Version:   1
-- Title:     memory is short in {object}: tasks stop to make room
-- Resource:  memory
-- Threshold: tasks stalled for memory for 5 % of the time (pressure stall
--            information), swapping, or a cgroup that met its limit 10 times a
--            second
-- Unit:      share
-- Needs:     host_memory
-- Refines:   disk_wait, cpu_time, other_wait, cache_cold
-- Certainty: 0.85
-- Evidence:  stackledger query cgroups
-- Next:      give {object} more memory, or let it use less; stackledger query
--            vmstat shows reclaim, swap and major faults second by second
-- Cost:      one pass over host_memory, host_pressure, cgroup_stat,
--            process_stat
WITH memory AS (
  SELECT
    sum(direct_reclaims) AS direct_reclaims,
    sum(swapped_in + swapped_out) AS swapped,
    sum(major_faults) AS major_faults,
    sum(oom_kills) AS oom_kills
  FROM host_memory
), pressure AS (
  SELECT sum(some_ns) / nullif(sum(interval_ns), 0) AS share
  FROM host_pressure
  WHERE resource = 'memory'
), limited AS (
  SELECT cgroup, sum(memory_limit_hits) AS hits,
    max(memory_bytes / nullif(memory_limit_bytes, 0)) AS full_share,
    sum(oom_kills) AS oom_kills
  FROM cgroup_stat
  GROUP BY cgroup
  HAVING hits > 0
  ORDER BY hits DESC, cgroup
  LIMIT 1
), member AS (
  SELECT DISTINCT p.pid
  FROM process AS p
  JOIN limited AS l
    ON p.cgroup = l.cgroup OR starts_with(p.cgroup, l.cgroup || '/')
), faulting AS (
  -- Whom it slows down: those in the cgroup, else those whose faults read.
  SELECT
    s.layer,
    s.service,
    count(m.pid) > 0 AS inside,
    sum(p.major_faults) AS major_faults,
    sum(p.minor_faults) AS minor_faults
  FROM process_stat AS p
  JOIN process_layer AS s USING (pid)
  LEFT JOIN member AS m USING (pid)
  GROUP BY ALL
), spell AS (
  -- Pages that were taken away are read again; the rest of the stall is work.
  SELECT
    s.layer,
    s.service,
    sum(s.explained_ns * CASE WHEN s.part = 'disk' THEN 1 ELSE p.share END)
      AS ns,
    sum(s.explained_ns::DOUBLE * s.typical_ns) / sum(s.explained_ns)
      AS typical_ns
  FROM spent_part AS s, pressure AS p
  WHERE s.part IN ('disk', 'cpu')
  GROUP BY ALL
), hit AS (
  SELECT f.*, s.ns, s.typical_ns
  FROM faulting AS f
  JOIN spell AS s USING (layer, service)
  WHERE f.inside OR f.major_faults >= 100
  ORDER BY f.inside DESC, s.ns DESC, f.layer, f.service
  LIMIT 1
)
SELECT
  coalesce(h.layer, 'host') AS layer,
  coalesce(h.service, '') AS service,
  coalesce(l.cgroup, 'the host') AS object,
  h.ns::BIGINT AS explained_ns,
  h.typical_ns::BIGINT AS typical_ns,
  CASE
    WHEN m.oom_kills + coalesce(l.oom_kills, 0) > 0 THEN 'critical'
    WHEN p.share >= 0.05 THEN 'warning'
    ELSE 'note'
  END AS severity,
  p.share AS measured,
  0.05 AS threshold,
  [
    figure('tasks stalled for memory', p.share, 'share'),
    figure('cgroup met its limit', l.hits, 'times'),
    figure('direct reclaims', m.direct_reclaims, 'times'),
    figure('pages swapped', m.swapped, 'pages'),
    figure('page faults that read', m.major_faults, 'faults'),
    figure('killed for want of memory', m.oom_kills, 'processes')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM memory AS m, pressure AS p, span AS s
LEFT JOIN limited AS l ON true
LEFT JOIN hit AS h ON true
WHERE p.share >= 0.05 OR m.swapped * 1e9 >= 100 * s.dur_ns OR m.oom_kills > 0
  OR (l.hits * 1e9 >= 10 * s.dur_ns AND p.share >= 0.005)
ORDER BY measured
