-- cswitches   Context switches by process.
--
-- Answers:  Who leaves the CPU most often, to wait or because another took it?
-- Params:   none
-- Returns:  one row per process and thread name: switches, their rate, voluntary and
--           involuntary ones (as in /proc/PID/status, all threads together)
-- Cost:     one pass over context_switch
SELECT
  c.pid,
  c.comm,
  sum(c.switches)::BIGINT AS switches,
  sum(c.switches) / any_value(span.dur_ns) * 1e9 AS rate_hz,
  sum(c.voluntary)::BIGINT AS voluntary,
  sum(c.involuntary)::BIGINT AS involuntary
FROM context_switch AS c, span
GROUP BY c.pid, c.comm
ORDER BY switches DESC, voluntary DESC, c.pid, c.comm
