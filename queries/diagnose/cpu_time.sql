-- cpu_time   Requests are computed for: their time is CPU time.
--
-- Version:   1
-- Title:     {service} computes
-- Resource:  cpu
-- Threshold: 5 % of all requests' time: below, it is not what makes them slow
-- Unit:      share
-- Needs:     request
-- Patience:  2.5
-- Evidence:  stackledger query profile
-- Next:      record --probe profile: stackledger query profile_functions says
--            what it computes; then make that cheaper. More CPUs help only
--            where requests wait for one: see runq
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
WHERE part = 'cpu'
ORDER BY explained_ns DESC, layer, service
