-- nstat   What the kernel's network counters counted (nstat): IP, ICMP, TCP, UDP.
--
-- Answers:  Which network counters moved, and how fast?
-- Params:   name VARCHAR = NULL (a part of a counter's name; NULL: all)
-- Returns:  one row per network namespace (by inode) and counter that moved, named
--           as nstat does (TcpRetransSegs): its sum, and per second of the time that
--           it was read for. Levels (TcpCurrEstab) are means, without a rate
-- Cost:     one pass over host_protocol
WITH read AS (
  -- A counter that did not move has no row, yet its time passed.
  SELECT netns, sum(interval_ns) AS dur_ns
  FROM (SELECT DISTINCT netns, ts_ns, interval_ns FROM host_protocol)
  GROUP BY netns
)
SELECT
  p.netns,
  p.protocol || p.name AS counter,
  CASE WHEN p.name IN ('CurrEstab', 'MPCurrEstab') THEN avg(p.value)
    ELSE sum(p.value) END AS value,
  CASE WHEN p.name NOT IN ('CurrEstab', 'MPCurrEstab')
    THEN sum(p.value) * 1e9 / nullif(any_value(r.dur_ns), 0) END AS "value/s"
FROM host_protocol AS p
JOIN read AS r USING (netns)
WHERE $name IS NULL OR contains(lower(p.protocol || p.name), lower($name))
GROUP BY p.netns, p.protocol, p.name
HAVING value > 0
ORDER BY p.netns, counter
