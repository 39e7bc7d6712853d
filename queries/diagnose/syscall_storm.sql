-- syscall_storm   A service reads or writes in very many small calls.
--
-- Version:   1
-- Title:     {service} makes very many small reads and writes
-- Resource:  cpu
-- Threshold: 1000 reads and writes for each request, of less than 512 bytes
--            each on average: the call itself then costs more than what it
--            moves
-- Unit:      calls
-- Needs:     request, process_stat
-- Refines:   cpu_time
-- Certainty: 0.95
-- Evidence:  stackledger query pidstat
-- Next:      buffer: read and write blocks of 4 KiB or more; record --probe
--            syscall_count, then stackledger query syscount names the calls
-- Cost:      one pass over process_stat
WITH made AS (
  SELECT
    l.layer,
    l.service,
    sum(coalesce(p.read_calls, 0) + coalesce(p.write_calls, 0)) AS calls,
    sum(
      coalesce(p.read_call_bytes, 0) + coalesce(p.write_call_bytes, 0)
    ) AS bytes,
    sum(p.system_ns) / nullif(sum(p.system_ns + p.user_ns), 0) AS system_share
  FROM process_stat AS p
  JOIN process_layer AS l USING (pid)
  GROUP BY ALL
), served AS (
  SELECT layer, service, scaled(count(*)) AS requests
  FROM spent
  WHERE pid IS NOT NULL
  GROUP BY ALL
)
SELECT
  p.layer,
  p.service,
  '' AS object,
  p.explained_ns,
  p.typical_ns,
  NULL AS severity,
  m.calls / r.requests AS measured,
  1000 AS threshold,
  [
    figure('reads and writes for each request', m.calls / r.requests, 'calls'),
    figure('a second', m.calls * 1e9 / s.dur_ns, '/s'),
    figure('bytes in each, mean', m.bytes / m.calls, 'bytes'),
    figure('of its CPU time in the kernel', m.system_share, 'share')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM spent_part AS p
JOIN made AS m USING (layer, service)
JOIN served AS r USING (layer, service), span AS s
WHERE p.part = 'cpu'
  AND m.calls >= 1000 * r.requests
  AND m.bytes < 512 * m.calls
ORDER BY p.explained_ns DESC, p.layer, p.service
