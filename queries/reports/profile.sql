-- profile   What was on the CPUs, as folded stacks.
--
-- Answers:  What does a flame graph of the CPU time look like? (--format csv, then
--           flamegraph.pl, or speedscope)
-- Params:   none
-- Returns:  one text per thread name and stack: comm;caller;…;callee samples, of
--           which there are 99 per second and busy CPU
-- Cost:     one pass over profile
SELECT folded(comm, ustack, kstack, count(*)) AS folded
FROM profile
GROUP BY comm, ustack, kstack
ORDER BY folded
