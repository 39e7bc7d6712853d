-- other_wait   Requests are off the CPU for another reason.
--
-- Version:   1
-- Title:     {service} waits in a system call
-- Resource:  other
-- Threshold: 5 % of all requests' time: below, it is not what makes them slow
-- Unit:      share
-- Needs:     request
-- Evidence:  stackledger query ledger
-- Next:      record --probe off_cpu: the stacks name what it waits for
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
WHERE part = 'other'
ORDER BY explained_ns DESC, layer, service
