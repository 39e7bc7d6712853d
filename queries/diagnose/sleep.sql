-- sleep   Requests are asleep by the program's own wish.
--
-- Version:   1
-- Title:     {service} sleeps
-- Resource:  sleep
-- Threshold: 5 % of all requests' time: below, it is not what makes them slow
-- Unit:      share
-- Needs:     request
-- Evidence:  stackledger query offcputime
-- Next:      look for sleep, retry with back-off, or polling in {service}:
--            record --probe off_cpu for the stacks
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
WHERE part = 'sleep'
ORDER BY explained_ns DESC, layer, service
