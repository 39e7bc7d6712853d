-- host   The usual graphs, second by second: CPU, memory, pressure, load, network.
--
-- Answers:  What would a CPU and memory dashboard have shown at that time?
-- Params:   none
-- Returns:  one row per second (ts_ns: its end): shares of the CPUs' time; memory
--           that cannot be had without swapping, of all; share of the time in which
--           some task lacked CPU, memory or I/O (NULL: the kernel does not say);
--           kB (1024 bytes) a second of all interfaces but lo; the link that is used most
--           in one direction and by how much, where its speed is known
-- Cost:     one pass over host_cpu, host_memory, host_pressure and host_net
WITH busy AS (
  SELECT
    *,
    nullif(user_ns + system_ns + idle_ns + iowait_ns + steal_ns, 0) AS all_ns
  FROM host_cpu
), pressure AS (
  SELECT
    ts_ns,
    max(share) FILTER (resource = 'cpu') AS cpu,
    max(share) FILTER (resource = 'memory') AS memory,
    max(share) FILTER (resource = 'io') AS io
  FROM (
    SELECT ts_ns, resource, least(1.0, some_ns / interval_ns) AS share
    FROM host_pressure
    WHERE interval_ns > 0
  )
  GROUP BY ts_ns
), link AS (
  SELECT
    ts_ns,
    interface,
    recv_bytes * 1e9 / interval_ns AS recv,
    send_bytes * 1e9 / interval_ns AS send,
    greatest(recv, send) * 8 / link_bps AS share
  FROM host_net
  WHERE interval_ns > 0 AND interface <> 'lo'
), network AS (
  SELECT
    ts_ns,
    sum(recv) AS recv,
    sum(send) AS send,
    arg_max(interface, (share, interface)) FILTER (share IS NOT NULL)
      AS busiest,
    max(share) AS share
  FROM link
  GROUP BY ts_ns
)
SELECT
  ts_ns,
  (c.user_ns + c.system_ns) / c.all_ns AS cpu_share,
  c.user_ns / c.all_ns AS user_share,
  c.system_ns / c.all_ns AS system_share,
  c.iowait_ns / c.all_ns AS iowait_share,
  c.steal_ns / c.all_ns AS steal_share,
  1 - c.mem_available_bytes / nullif(c.mem_total_bytes, 0) AS memory_share,
  1 - m.swap_free_bytes / nullif(m.swap_total_bytes, 0) AS swap_share,
  p.cpu AS cpu_pressure_share,
  p.memory AS memory_pressure_share,
  p.io AS io_pressure_share,
  c.load_1,
  n.recv / 1024 AS "recv_kB/s",
  n.send / 1024 AS "send_kB/s",
  n.busiest AS link,
  n.share AS link_share
FROM busy AS c
LEFT JOIN host_memory AS m USING (ts_ns)
LEFT JOIN pressure AS p USING (ts_ns)
LEFT JOIN network AS n USING (ts_ns)
ORDER BY ts_ns
