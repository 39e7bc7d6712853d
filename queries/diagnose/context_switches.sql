-- context_switches   The CPUs spend their time changing between threads.
--
-- Version:   1
-- Title:     threads change so often that it costs CPU time, most of all
--            {object}
-- Resource:  cpu
-- Threshold: 20,000 a second and CPU: at some 2 µs each and cold caches behind
--            it, a tenth of a CPU
-- Unit:      /s
-- Needs:     host_cpu, process_stat
-- Certainty: 0.7
-- Evidence:  stackledger query cswitches
-- Next:      fewer threads, larger batches between two waits; involuntary ones:
--            fewer threads than CPUs
-- Cost:      one pass over host_cpu and process_stat
WITH rate AS (
  SELECT
    sum(context_switches) * 1e9 / sum(interval_ns) / any_value(c.cpus) AS hz
  FROM host_cpu, capture AS c
), most AS (
  SELECT
    coalesce(l.layer, 'host') AS layer,
    -- `python -c` names no script.
    CASE WHEN l.service LIKE '-%' THEN p.comm ELSE
      coalesce(l.service, nullif(p.comm, ''), 'unknown') END AS service,
    sum(p.voluntary_switches) AS voluntary,
    sum(p.involuntary_switches) AS involuntary
  FROM process_stat AS p
  LEFT JOIN process_layer AS l USING (pid)
  GROUP BY ALL
  ORDER BY voluntary + involuntary DESC NULLS LAST, service
  LIMIT 1
)
SELECT
  m.layer,
  m.service,
  m.service AS object,
  NULL::BIGINT AS explained_ns,
  NULL::BIGINT AS typical_ns,
  CASE WHEN r.hz >= 50000 THEN 'warning' ELSE 'note' END AS severity,
  r.hz AS measured,
  20000 AS threshold,
  [
    figure('a second and CPU', r.hz, '/s'),
    figure('of ' || m.service || ', to wait', m.voluntary, 'switches'),
    figure('of ' || m.service || ', preempted', m.involuntary, 'switches')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM rate AS r, most AS m
WHERE r.hz >= 20000
ORDER BY measured
