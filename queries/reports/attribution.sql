-- attribution   Split the wall time of the transactions around a percentile.
--
-- Answers:  Which layer and which resource makes transactions as slow as the
--           q-th percentile, and what do they have that the median has not?
-- Params:   endpoint VARCHAR = NULL (one root endpoint; NULL: all)
--           percentile DOUBLE = 99 (centre of the band)
-- Returns:  one row per band (slow, median), layer and service: roots, mean
--           wall_ns of the band, requests, and the parts in ns per transaction;
--           the parts of a band sum to its wall_ns
-- Cost:     one pass over the roots; the two bands are followed down
WITH chosen AS (
  SELECT * FROM banded($endpoint, $percentile)
), bands AS (
  SELECT band, count(*) AS roots, avg(wall_ns) AS wall_ns, max(n) AS n,
    min(wall_ns) AS from_ns, max(wall_ns) AS to_ns
  FROM chosen
  GROUP BY band
), members AS (
  SELECT
    d.band, r.layer, r.service, r.depth, r.critical_share AS share,
    r.cpu_ns, r.runq_ns, r.disk_ns, r.lock_ns, r.sleep_ns, r.queue_ns,
    r.net_ns, r.other_ns, r.unexplained_ns, 0 AS untraced_ns
  FROM placed AS r
  JOIN chosen AS d ON d.sock = r.root_sock AND d.recv_ts_ns = r.root_recv_ts_ns
  UNION ALL
  SELECT
    d.band, u.layer, u.service, t.depth + 1, t.critical_share,
    0, 0, 0, 0, 0, 0, 0, 0, 0, u.wait_ns
  FROM chosen AS d
  JOIN tree AS t ON t.root_sock = d.sock AND t.root_recv_ts_ns = d.recv_ts_ns
  JOIN untraced AS u
    ON u.parent_sock = t.sock AND u.parent_recv_ts_ns = t.recv_ts_ns
)
SELECT
  m.band,
  b.n AS transactions,
  b.roots,
  b.wall_ns,
  b.from_ns,
  b.to_ns,
  m.layer,
  m.service,
  min(m.depth) AS depth,
  count(*) / b.roots AS requests,
  sum(m.share * m.cpu_ns) / b.roots AS cpu_ns,
  sum(m.share * m.runq_ns) / b.roots AS runq_ns,
  sum(m.share * m.disk_ns) / b.roots AS disk_ns,
  sum(m.share * m.lock_ns) / b.roots AS lock_ns,
  sum(m.share * m.sleep_ns) / b.roots AS sleep_ns,
  sum(m.share * m.queue_ns) / b.roots AS queue_ns,
  sum(m.share * m.net_ns) / b.roots AS net_ns,
  sum(m.share * m.other_ns) / b.roots AS other_ns,
  sum(m.share * m.untraced_ns) / b.roots AS untraced_ns,
  sum(m.share * m.unexplained_ns) / b.roots AS unexplained_ns
FROM members AS m
JOIN bands AS b USING (band)
GROUP BY m.band, b.n, b.roots, b.wall_ns, b.from_ns, b.to_ns, m.layer, m.service
ORDER BY m.band DESC, depth, m.layer, m.service
