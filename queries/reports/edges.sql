-- edges   How many calls were linked to the request that they became.
--
-- Answers:  How complete are the transactions, per caller and callee?
-- Params:   none
-- Returns:  one row per caller, server called and grade: calls, and their share
--           of all calls. exact: the Unix socket's peer; matched: four-tuple and
--           time; inherited: the caller was found by a wake-up; untraced: not linked
-- Cost:     one pass over the calls
SELECT
  s.service AS caller,
  c.server_addr,
  c.server_port,
  c.grade,
  count(*) AS calls,
  count(*) / sum(count(*)) OVER () AS calls_share
FROM calls AS c
LEFT JOIN process_service AS s USING (pid)
GROUP BY ALL
ORDER BY calls DESC, caller, c.server_addr, c.server_port, c.grade
