-- host   What one side's host did meanwhile, as sums per block of its time.
--
-- Answers:  Did CPUs, memory, disks, network, page cache or system calls change?
-- Params:   none
-- Returns:  one row per figure and block (0..29, equal parts of the time): a figure is
--           sum(amount) / sum(base) over blocks; kind is the resource, subject a
--           device, unit ns, share or /s
-- Cost:     one pass over each table of the host's counters
WITH cpu AS (
  SELECT *, user_ns + system_ns + idle_ns + iowait_ns + steal_ns AS all_ns
  FROM host_cpu
), tcp AS (
  SELECT
    ts_ns,
    max(interval_ns) AS interval_ns,
    sum(value) FILTER (name = 'RetransSegs') AS sent_again,
    sum(value) FILTER (name = 'OutSegs') AS sent,
    sum(value) FILTER (name IN ('ActiveOpens', 'PassiveOpens')) AS opened
  FROM (SELECT DISTINCT * FROM host_protocol WHERE protocol = 'Tcp')
  GROUP BY ts_ns
), cache AS (
  SELECT
    ts_ns, max(interval_ns) AS interval_ns,
    sum(lookups) AS lookups, sum(read_in) AS read_in
  FROM cache_use
  GROUP BY ts_ns
), calls AS (
  SELECT ts_ns, max(interval_ns) AS interval_ns, sum(calls) AS calls
  FROM syscall_count
  GROUP BY ts_ns
), counters AS (
  SELECT ts_ns, interval_ns, 'cpu' AS kind, NULL AS subject, 'busy' AS name,
    'share' AS unit, user_ns + system_ns AS amount, all_ns AS base
  FROM cpu
  UNION ALL
  SELECT ts_ns, interval_ns, 'cpu', NULL, 'stolen', 'share', steal_ns, all_ns
  FROM cpu
  UNION ALL
  SELECT ts_ns, interval_ns, 'cpu', NULL, 'context switches', '/s',
    context_switches, interval_ns / 1e9
  FROM cpu
  UNION ALL
  SELECT ts_ns, interval_ns, 'memory', NULL, 'in use', 'share',
    mem_total_bytes - mem_available_bytes, mem_total_bytes
  FROM cpu
  UNION ALL
  SELECT ts_ns, interval_ns, 'pressure', resource, 'waited for', 'share',
    least(some_ns, interval_ns), interval_ns
  FROM host_pressure
  UNION ALL
  SELECT ts_ns, interval_ns, 'disk', disk, 'reads', '/s', reads,
    interval_ns / 1e9
  FROM host_disk
  UNION ALL
  SELECT ts_ns, interval_ns, 'disk', disk, 'a read', 'ns', read_ns, reads
  FROM host_disk
  UNION ALL
  SELECT ts_ns, interval_ns, 'disk', disk, 'writes', '/s', writes,
    interval_ns / 1e9
  FROM host_disk
  UNION ALL
  SELECT ts_ns, interval_ns, 'disk', disk, 'a write', 'ns', write_ns, writes
  FROM host_disk
  UNION ALL
  SELECT ts_ns, interval_ns, 'disk', disk, 'busy', 'share',
    least(busy_ns, interval_ns), interval_ns
  FROM host_disk
  UNION ALL
  SELECT ts_ns, interval_ns, 'tcp', NULL, 'sent again', 'share', sent_again, sent
  FROM tcp
  UNION ALL
  SELECT ts_ns, interval_ns, 'tcp', NULL, 'segments', '/s', sent,
    interval_ns / 1e9
  FROM tcp
  UNION ALL
  SELECT ts_ns, interval_ns, 'tcp', NULL, 'opened', '/s', opened,
    interval_ns / 1e9
  FROM tcp
  UNION ALL
  SELECT ts_ns, interval_ns, 'page cache', NULL, 'hits', 'share',
    greatest(0, lookups - read_in), greatest(lookups, read_in)
  FROM cache
  UNION ALL
  SELECT ts_ns, interval_ns, 'system calls', NULL, 'all', '/s', calls,
    interval_ns / 1e9
  FROM calls
)
SELECT
  c.kind,
  c.subject,
  c.name,
  c.unit,
  least(29, greatest(0,
    (c.ts_ns - c.interval_ns // 2 - s.from_ts_ns) * 30 // s.dur_ns))::TINYINT
    AS block,
  sum(c.amount)::DOUBLE AS amount,
  sum(c.base)::DOUBLE AS base
FROM counters AS c, span AS s
WHERE c.interval_ns > 0 AND c.amount IS NOT NULL
GROUP BY ALL
ORDER BY ALL
