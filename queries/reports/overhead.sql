-- overhead   What the recording itself took of the host's CPU time.
--
-- Answers:  What did it cost to look, and which probe cost it?
-- Params:   none
-- Returns:  one row per probe and one of stackledger itself, dearest first: CPU time of
--           its bpftrace, of its programs in the kernel (timed in one second of five,
--           NULL where the kernel does not tell) and of stackledger, and their
--           cpu_share of all that the host's CPUs had. stopped_ts_ns is when
--           --max-overhead stopped it. Calling a program and waking bpftrace is the
--           kernel's time, and not in it
-- Cost:     none
SELECT
  coalesce(nullif(probe, ''), '(stackledger)') AS probe,
  state,
  stopped_ts_ns,
  bpftrace_cpu_ns,
  programs_cpu_ns,
  stackledger_cpu_ns,
  (
    coalesce(bpftrace_cpu_ns, 0)
    + coalesce(programs_cpu_ns, 0)
    + coalesce(stackledger_cpu_ns, 0)
  )::DOUBLE / nullif(elapsed_ns * cpus, 0) AS cpu_share
FROM overhead
ORDER BY cpu_share DESC, probe
