-- network_wait   A call takes longer than the called server accounts for.
--
-- Version:   1
-- Title:     {service} waits on the network for the servers it calls
-- Resource:  net
-- Threshold: 5 % of all requests' time: below, it is not what makes them slow
-- Unit:      share
-- Needs:     request
-- Evidence:  stackledger query calls
-- Next:      stackledger query calls, ss and retransmits: which peer, which
--            connection
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
WHERE part = 'net'
ORDER BY explained_ns DESC, layer, service
