-- fork_churn   A service starts programs all the time.
--
-- Version:   1
-- Title:     {service} starts programs while requests wait, most often {object}
-- Resource:  other
-- Threshold: a program started for every tenth request, and 5 a second
-- Unit:      programs
-- Needs:     request, exec, process_exit
-- Refines:   other_wait, cpu_time, lock_wait, sleep
-- Certainty: 0.9
-- Evidence:  stackledger query execsnoop
-- Next:      do it in the process, or keep {object} running and talk to it
-- Cost:      one pass over exec and process_exit
WITH started AS (
  SELECT
    l.layer,
    l.service,
    count(*) AS programs,
    mode(e.comm) AS program,
    avg(x.age_ns) AS age_ns
  FROM exec AS e
  JOIN process_layer AS l ON l.pid = e.ppid
  LEFT JOIN process_exit AS x ON x.pid = e.pid AND x.ts_ns >= e.ts_ns
  WHERE e.error = 0
  GROUP BY ALL
), served AS (
  SELECT layer, service, scaled(count(*)) AS requests
  FROM spent
  WHERE pid IS NOT NULL
  GROUP BY ALL
), spell AS (
  -- fork and exec are CPU time of the parent, the rest waits for the child.
  SELECT layer, service, sum(explained_ns) AS ns,
    sum(explained_ns::DOUBLE * typical_ns) / sum(explained_ns) AS typical_ns
  FROM spent_part
  WHERE part IN ('other', 'cpu', 'sleep', 'runq')
  GROUP BY ALL
)
SELECT
  p.layer,
  p.service,
  f.program AS object,
  p.ns::BIGINT AS explained_ns,
  p.typical_ns::BIGINT AS typical_ns,
  NULL AS severity,
  f.programs / r.requests AS measured,
  0.1 AS threshold,
  [
    figure('programs started a second', f.programs * 1e9 / s.dur_ns, '/s'),
    figure('for each request', f.programs / r.requests, 'programs'),
    figure('each lives, mean', f.age_ns, 'ns')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM started AS f
JOIN served AS r USING (layer, service)
JOIN spell AS p USING (layer, service), span AS s
WHERE f.programs >= 0.1 * r.requests AND f.programs * 1e9 >= 5 * s.dur_ns
ORDER BY explained_ns DESC, p.layer, p.service
