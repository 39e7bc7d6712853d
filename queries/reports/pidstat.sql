-- pidstat   Processes second by second (pidstat -urdw 1): CPU, waiting, faults, I/O.
--
-- Answers:  Which process used the CPU, waited for one, read, wrote or switched when?
-- Params:   pid BIGINT = NULL (one process; NULL: all)
-- Returns:  one row per process and second (ts_ns: its end) in which it did anything:
--           CPUs used, by the scheduler's clock, in user mode, in the kernel, and
--           CPUs waited for, sums over its threads (may exceed 1); faults, switches,
--           calls and disk bytes a second; memory, threads and open files then;
--           NULL: not known to the kernel or not to us
-- Cost:     one pass over process_stat
WITH per_s AS (
  SELECT *, 1e9 / interval_ns AS f
  FROM process_stat
  WHERE interval_ns > 0 AND ($pid IS NULL OR pid = $pid)
)
SELECT
  ts_ns,
  pid,
  comm,
  cpu_ns / interval_ns AS cpus,
  user_ns / interval_ns AS usr_cpus,
  system_ns / interval_ns AS system_cpus,
  runq_ns / interval_ns AS wait_cpus,
  minor_faults * f AS "minflt/s",
  major_faults * f AS "majflt/s",
  voluntary_switches * f AS "cswch/s",
  involuntary_switches * f AS "nvcswch/s",
  read_calls * f AS "read_calls/s",
  write_calls * f AS "write_calls/s",
  read_bytes / 1024 * f AS "kB_rd/s",
  write_bytes / 1024 * f AS "kB_wr/s",
  rss_bytes,
  threads,
  open_fds
FROM per_s
ORDER BY ts_ns, cpus DESC NULLS LAST, pid, start_ts_ns
