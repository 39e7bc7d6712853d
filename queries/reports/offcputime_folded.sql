-- offcputime_folded   Time off CPU as folded stacks, in microseconds.
--
-- Answers:  What does a flame graph of the waiting look like? (--format csv, then
--           flamegraph.pl --countname=us, or speedscope)
-- Params:   none
-- Returns:  one text per thread name and stack: comm;caller;…;callee microseconds
-- Cost:     one pass over off_cpu
SELECT stack || ' ' || sum(total_ns)::BIGINT // 1000 AS folded
FROM (
  SELECT
    folded_name(comm) || ';' || folded_stack(ustack, kstack) AS stack,
    total_ns
  FROM off_cpu
) AS named
GROUP BY stack
ORDER BY stack
