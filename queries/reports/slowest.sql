-- slowest   The slowest transactions.
--
-- Answers:  Which requests hurt most, and what was the largest part of each?
-- Params:   endpoint VARCHAR = NULL (one root endpoint; NULL: all)
--           count BIGINT = 10 (how many)
-- Returns:  one row per root, slowest first: wall_ns, the layer and part that
--           hold most of it and their time in ns, open ones too (complete false)
-- Cost:     the roots are sorted; the slowest are followed down
WITH roots AS (
  SELECT sock, recv_ts_ns, ts_ns, endpoint, status, wall_ns, complete
  FROM requests
  WHERE parent_sock IS NULL AND ($endpoint IS NULL OR endpoint = $endpoint)
  ORDER BY wall_ns DESC, ts_ns, sock
  LIMIT $count
), parts AS (
  UNPIVOT (
    SELECT
      r.root_sock, r.root_recv_ts_ns, r.layer, r.service, r.critical_share,
      r.cpu_ns AS cpu, r.runq_ns AS runq, r.disk_ns AS disk, r.lock_ns AS lock,
      r.sleep_ns AS sleep, r.queue_ns AS queue, r.net_ns AS net,
      r.other_ns AS other, r.unexplained_ns AS unexplained
    FROM placed AS r
    SEMI JOIN roots AS o
      ON o.sock = r.root_sock AND o.recv_ts_ns = r.root_recv_ts_ns
  )
  ON cpu, runq, disk, lock, sleep, queue, net, other, unexplained
  INTO NAME part VALUE part_ns
), largest AS (
  SELECT
    root_sock, root_recv_ts_ns,
    max({
      ns: part_ns * critical_share, layer: layer, service: service, part: part
    }) AS what
  FROM parts
  GROUP BY ALL
)
SELECT
  o.ts_ns,
  o.endpoint,
  o.status,
  o.wall_ns,
  l.what.layer AS layer,
  l.what.service AS service,
  l.what.part AS largest_part,
  l.what.ns::BIGINT AS part_ns,
  o.complete
FROM roots AS o
LEFT JOIN largest AS l
  ON l.root_sock = o.sock AND l.root_recv_ts_ns = o.recv_ts_ns
ORDER BY o.wall_ns DESC, o.ts_ns, o.sock
