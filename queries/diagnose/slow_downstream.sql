-- slow_downstream   A server that was not traced takes long to answer.
--
-- Version:   1
-- Title:     {service} is slow to answer
-- Resource:  downstream
-- Threshold: 5 % of all requests' time: below, it is not what makes them slow
-- Unit:      share
-- Needs:     request
-- Evidence:  stackledger query calls
-- Next:      record on the host of {service}; until then its share is known,
--            what it does is not
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
WHERE part = 'untraced'
ORDER BY explained_ns DESC, layer, service
