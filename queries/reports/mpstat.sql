-- mpstat   Each CPU second by second (mpstat -P ALL 1), with its network queue.
--
-- Answers:  Is one CPU full while the others idle? Does one do all the interrupts?
-- Params:   cpu BIGINT = NULL (one CPU; NULL: all)
-- Returns:  one row per second (ts_ns: its end) and CPU: shares of its time; soft and
--           irq are parts that sys does not hold; packets taken from its network
--           queue a second, dropped for want of room in it, and times it had to stop
-- Cost:     one pass over host_core
WITH busy AS (
  SELECT
    *,
    nullif(user_ns + system_ns + idle_ns + iowait_ns + steal_ns, 0) AS all_ns
  FROM host_core
  WHERE interval_ns > 0 AND ($cpu IS NULL OR cpu = $cpu)
)
SELECT
  ts_ns,
  cpu,
  (user_ns - nice_ns) / all_ns AS usr_share,
  nice_ns / all_ns AS nice_share,
  (system_ns - irq_ns - softirq_ns) / all_ns AS sys_share,
  iowait_ns / all_ns AS iowait_share,
  irq_ns / all_ns AS irq_share,
  softirq_ns / all_ns AS soft_share,
  steal_ns / all_ns AS steal_share,
  idle_ns / all_ns AS idle_share,
  net_processed * 1e9 / interval_ns AS "net/s",
  net_dropped,
  net_squeezed
FROM busy
ORDER BY ts_ns, cpu
