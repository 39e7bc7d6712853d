-- unanswered   Requests had no answer when the capture ended.
--
-- Version:   1
-- Title:     {service} has requests that were never answered
-- Resource:  other
-- Threshold: open for a second and ten times the 99th percentile of the
--            answered ones
-- Unit:      requests
-- Needs:     request
-- Certainty: 0.7
-- Evidence:  stackledger query slowest
-- Next:      the slowest requests with their parts so far are in stackledger
--            query slowest
-- Cost:      one pass over the requests
WITH open AS (
  SELECT r.layer, r.service, count(*) AS requests, max(r.wall_ns) AS longest_ns
  FROM requests AS r, spent_total AS t
  WHERE NOT r.complete AND r.parent_sock IS NULL
    AND r.protocol = 'http' AND r.send_bytes = 0
    AND r.wall_ns >= greatest(1000000000, 10 * coalesce(t.p99_ns, 0))
  GROUP BY ALL
)
SELECT
  layer,
  service,
  '' AS object,
  NULL::BIGINT AS explained_ns,
  NULL::BIGINT AS typical_ns,
  'warning' AS severity,
  requests AS measured,
  1 AS threshold,
  [
    figure('requests without an answer', requests, 'requests'),
    figure('the oldest waited', longest_ns, 'ns')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM open
ORDER BY requests DESC, layer, service
