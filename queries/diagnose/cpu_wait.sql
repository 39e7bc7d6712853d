-- cpu_wait   Requests are runnable and wait for a CPU.
--
-- Version:   1
-- Title:     {service} waits for a CPU
-- Resource:  runq
-- Threshold: 5 % of all requests' time: below, it is not what makes them slow
-- Unit:      share
-- Needs:     request
-- Patience:  2.5
-- Evidence:  stackledger query pidstat
-- Next:      stackledger query mpstat and pidstat: who uses the CPUs; give the
--            service more of them, or move the others away
-- Cost:      none: reads what is summed up already
SELECT
  layer,
  service,
  '' AS object,
  explained_ns,
  typical_ns,
  NULL AS severity,
  explained_ns / nullif(t.wall_ns, 0) AS measured,
  0.05 AS threshold,
  [figure('requests that have it', p.transactions, 'requests')] AS evidence,
  []::VARCHAR[] AS doubts
FROM spent_part AS p, spent_total AS t
WHERE part = 'runq'
ORDER BY explained_ns DESC, layer, service
