-- limits   What is bounded, and how near to its bound it came.
--
-- Answers:  Is the host running out of files, threads, connections, inodes, space, or
--           a listener out of backlog?
-- Params:   none
-- Returns:  one row per bounded thing: its unit, the last and the highest use, the
--           bound (NULL: none), and the highest use's share of it, fullest first
-- Cost:     one pass over host_limit and socket
WITH used AS (
  SELECT ts_ns, resource, object, unit, used, capacity
  FROM host_limit
  UNION ALL
  SELECT
    ts_ns,
    'backlog',
    CASE WHEN contains(local_addr, ':') THEN '[' || local_addr || ']'
      ELSE local_addr END || ':' || local_port,
    'connections',
    max(backlog),
    arg_max(backlog_limit, backlog)
  FROM socket
  WHERE backlog IS NOT NULL
  -- Of several that share a port each has a queue of its own: the longest.
  GROUP BY ts_ns, netns, local_addr, local_port
)
SELECT
  resource,
  object,
  unit,
  arg_max(used, (ts_ns, used)) AS last_used,
  max(used) AS most_used,
  arg_max(capacity, (ts_ns, capacity)) AS capacity,
  max(used / nullif(capacity, 0)) AS most_used_share
FROM used
GROUP BY resource, object, unit
ORDER BY most_used_share DESC NULLS LAST, resource, object, unit
