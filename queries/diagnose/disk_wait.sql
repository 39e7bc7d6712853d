-- disk_wait   Requests wait for a disk.
--
-- Version:   1
-- Title:     {service} waits for the disk
-- Resource:  disk
-- Threshold: 5 % of all requests' time: below, it is not what makes them slow
-- Unit:      share
-- Needs:     request
-- Evidence:  stackledger query biolatency
-- Next:      stackledger query biotop and iostat: which I/O; then less of it
--            (index, cache) or a faster disk: stackledger whatif --disk tiers
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
WHERE part = 'disk'
ORDER BY explained_ns DESC, layer, service
