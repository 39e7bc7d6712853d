-- cache_cold   What is read is not in the page cache yet.
--
-- Version:   1
-- Title:     {service} reads what is not in the page cache
-- Resource:  disk
-- Threshold: a tenth of the bytes that it reads come from the disk: caches that
--            work miss less
-- Unit:      share
-- Needs:     request, process_stat
-- Refines:   disk_wait
-- Certainty: 0.75
-- Evidence:  stackledger query cachestat
-- Next:      see whether it goes away once the cache is warm; if not, record
--            --probe page_cache --probe page_reuse: stackledger query missratio
--            says what more memory would bring
-- Cost:      one pass over process_stat
WITH read_by AS (
  SELECT
    s.layer,
    s.service,
    sum(p.read_bytes) AS disk_bytes,
    sum(p.read_call_bytes) AS call_bytes
  FROM process_stat AS p
  JOIN process_layer AS s USING (pid)
  GROUP BY ALL
)
SELECT
  p.layer,
  p.service,
  '' AS object,
  p.explained_ns,
  p.typical_ns,
  NULL AS severity,
  r.disk_bytes / nullif(greatest(r.call_bytes, r.disk_bytes), 0) AS measured,
  0.1 AS threshold,
  [
    figure('read by calls', r.call_bytes, 'bytes'),
    figure('of it from the disk', r.disk_bytes, 'bytes')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM spent_part AS p
JOIN read_by AS r USING (layer, service)
WHERE p.part = 'disk'
  AND r.disk_bytes >= 0.1 * greatest(r.call_bytes, r.disk_bytes)
  AND r.disk_bytes >= 1048576
ORDER BY p.explained_ns DESC, p.layer, p.service
