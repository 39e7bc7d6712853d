-- offcputime   Time off CPU by stack, the longest first.
--
-- Answers:  What do threads wait for, in which code, and how long?
-- Params:   none
-- Returns:  one row per process, thread name, state and stack: waits, the time off
--           CPU, mean and max in ns; stack is caller;…;callee, user before kernel
-- Cost:     one pass over off_cpu
SELECT
  pid,
  comm,
  CASE state WHEN 0 THEN 'preempted' WHEN 1 THEN 'S' WHEN 2 THEN 'D'
    WHEN 4 THEN 'T' WHEN 8 THEN 't' WHEN 128 THEN 'I' ELSE state::VARCHAR END
    AS state,
  sum(blocks)::BIGINT AS blocks,
  sum(total_ns)::BIGINT AS total_ns,
  sum(total_ns) / sum(blocks) AS mean_ns,
  max(max_ns) AS max_ns,
  folded_stack(ustack, kstack) AS stack
FROM off_cpu
GROUP BY ALL
ORDER BY total_ns DESC, blocks DESC, pid, comm, state, stack
