-- vmstat   Run queue, memory, paging, interrupts and CPU second by second (vmstat 1).
--
-- Answers:  Is the host short of CPUs or of memory, or does it wait for its disks?
-- Params:   none
-- Returns:  one row per second (ts_ns: its end) in vmstat's order: tasks runnable (r)
--           and waiting for I/O (b); memory in bytes (cache without buffers); pages
--           swapped in and out, bytes read and written by paging, interrupts and
--           context switches, all a second; shares of the CPUs' time
-- Cost:     one pass over host_cpu and host_memory
WITH busy AS (
  SELECT
    *,
    nullif(user_ns + system_ns + idle_ns + iowait_ns + steal_ns, 0) AS all_ns
  FROM host_cpu
  WHERE interval_ns > 0
)
SELECT
  ts_ns,
  c.running AS r,
  c.blocked AS b,
  m.swap_total_bytes - m.swap_free_bytes AS swpd_bytes,
  m.free_bytes,
  m.buffers_bytes AS buff_bytes,
  m.cached_bytes + m.slab_reclaimable_bytes AS cache_bytes,
  m.swapped_in * 1e9 / m.interval_ns AS "si/s",
  m.swapped_out * 1e9 / m.interval_ns AS "so/s",
  m.paged_in_bytes / 1024 * 1e9 / m.interval_ns AS "bi_kB/s",
  m.paged_out_bytes / 1024 * 1e9 / m.interval_ns AS "bo_kB/s",
  c.interrupts * 1e9 / c.interval_ns AS "in/s",
  c.context_switches * 1e9 / c.interval_ns AS "cs/s",
  c.user_ns / c.all_ns AS us_share,
  c.system_ns / c.all_ns AS sy_share,
  c.idle_ns / c.all_ns AS id_share,
  c.iowait_ns / c.all_ns AS wa_share,
  c.steal_ns / c.all_ns AS st_share
FROM busy AS c
LEFT JOIN host_memory AS m USING (ts_ns)
ORDER BY ts_ns
