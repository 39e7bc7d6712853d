-- event_loop   Requests queue before a thread that is busy with others.
--
-- Version:   1
-- Title:     {service}: requests wait while its thread works on others
-- Resource:  queue
-- Threshold: the busiest thread is on a CPU for half of the time: with one
--            thread for all, the others' work is every request's wait (M/M/1:
--            at 50 % as long as the work itself)
-- Unit:      share
-- Needs:     request
-- Refines:   queue_wait
-- Certainty: 0.9
-- Evidence:  stackledger query slowest
-- Next:      see which endpoint computes long (stackledger query endpoints):
--            move it off the loop, split it, or run more workers
-- Cost:      one pass over the requests
WITH thread AS (
  SELECT
    layer,
    service,
    tid,
    count(*) AS requests,
    sum(cpu_ns) AS cpu_ns,
    max(cpu_ns) AS longest_ns,
    sum(queue_ns) AS queue_ns
  FROM spent
  WHERE tid IS NOT NULL
  GROUP BY ALL
), found AS (
  SELECT
    layer,
    service,
    scaled(max(cpu_ns)) AS cpu_ns,
    max(longest_ns) AS longest_ns,
    max(requests) AS requests,
    -- Threads that serve one connection each keep nobody else waiting.
    max(queue_ns) / nullif(sum(queue_ns), 0) AS queue_share
  FROM thread
  GROUP BY layer, service
)
SELECT
  p.layer,
  p.service,
  '' AS object,
  p.explained_ns,
  p.typical_ns,
  NULL AS severity,
  f.cpu_ns / s.dur_ns AS measured,
  0.5 AS threshold,
  [
    figure('busiest thread on a CPU', f.cpu_ns / s.dur_ns, 'share'),
    figure('longest work for one request', f.longest_ns, 'ns'),
    figure('requests on that thread', f.requests, 'requests')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM spent_part AS p
JOIN found AS f USING (layer, service), span AS s
WHERE p.part = 'queue' AND f.cpu_ns >= 0.5 * s.dur_ns
ORDER BY p.explained_ns DESC, p.layer, p.service
