-- cgroups   CPU, memory and I/O of each cgroup (systemd-cgtop), the most CPU first.
--
-- Answers:  Which container or service uses what, and which is held back by a limit?
-- Params:   none
-- Returns:  one row per cgroup that did anything, children included: CPUs used on
--           average over the time range, CPU time, share of its quota's periods that
--           ended throttled, time so lost (over all CPUs), highest memory and its
--           share of the limit, times at the limit, processes killed for it, disk
--           I/Os and bytes, highest number of tasks; NULL: no such controller there
-- Cost:     one pass over cgroup_stat
SELECT
  cgroup,
  sum(cpu_ns) / any_value(dur_ns) AS cpus,
  sum(cpu_ns)::BIGINT AS cpu_ns,
  sum(user_ns)::BIGINT AS user_ns,
  sum(system_ns)::BIGINT AS system_ns,
  sum(throttled_periods) / nullif(sum(periods), 0) AS throttled_share,
  sum(throttled_ns)::BIGINT AS throttled_ns,
  max(memory_bytes) AS memory_bytes,
  max(memory_bytes / nullif(memory_limit_bytes, 0)) AS memory_limit_share,
  sum(memory_limit_hits)::BIGINT AS memory_limit_hits,
  sum(oom_kills)::BIGINT AS oom_kills,
  sum(reads)::BIGINT AS reads,
  sum(writes)::BIGINT AS writes,
  sum(read_bytes)::BIGINT AS read_bytes,
  sum(write_bytes)::BIGINT AS write_bytes,
  max(tasks) AS tasks
FROM cgroup_stat, span
GROUP BY cgroup
ORDER BY cpu_ns DESC NULLS LAST, memory_bytes DESC NULLS LAST, cgroup
