-- lock_wait   Requests wait for a lock inside the program.
--
-- Version:   1
-- Title:     {service} waits for a lock
-- Resource:  lock
-- Threshold: 5 % of all requests' time: below, it is not what makes them slow
-- Unit:      share
-- Needs:     request
-- Evidence:  stackledger query offcputime
-- Next:      record --probe off_cpu: the stacks of the waits name the lock;
--            hold it for a shorter time, or split it
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
WHERE part = 'lock'
ORDER BY explained_ns DESC, layer, service
