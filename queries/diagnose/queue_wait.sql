-- queue_wait   Bytes have arrived, but the program does not read them yet.
--
-- Version:   1
-- Title:     {service} is late to read what has arrived
-- Resource:  queue
-- Threshold: 5 % of all requests' time: below, it is not what makes them slow
-- Unit:      share
-- Needs:     request
-- Patience:  2.5
-- Evidence:  stackledger query ledger
-- Next:      see what {service} does instead: its cpu and runq in stackledger
--            attribute; more workers, or shorter work between two reads
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
WHERE part = 'queue'
ORDER BY explained_ns DESC, layer, service
