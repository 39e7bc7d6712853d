-- offcputime_folded   Time off CPU as folded stacks, in microseconds.
--
-- Answers:  What does a flame graph of the waiting look like? (--format csv, then
--           flamegraph.pl --countname=us, or speedscope)
-- Params:   none
-- Returns:  one text per thread name and stack: comm;caller;…;callee microseconds
-- Cost:     one pass over off_cpu
SELECT
  folded(comm, ustack, kstack, sum(total_ns)::BIGINT // 1000) AS folded
FROM off_cpu
GROUP BY comm, ustack, kstack
ORDER BY folded
