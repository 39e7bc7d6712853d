-- profile_functions   Functions by the CPU time in them and below them.
--
-- Answers:  Which functions use the CPU?
-- Params:   none
-- Returns:  one row per thread name and function: samples in itself, samples in it or
--           what it calls, and the share of all samples in itself
-- Cost:     one pass over profile, a row for each frame
WITH sampled AS (
  SELECT
    row_number() OVER () AS sample,
    comm,
    stack_functions(ustack, kstack) AS functions
  FROM profile
), framed AS (
  SELECT DISTINCT
    sample,
    comm,
    unnest(functions) AS function,
    functions[-1] AS innermost
  FROM sampled
)
SELECT
  comm,
  function,
  count(*) FILTER (function = innermost) AS self_samples,
  count(*) AS samples,
  self_samples / sum(self_samples) OVER () AS self_share
FROM framed
GROUP BY comm, function
ORDER BY self_samples DESC, samples DESC, comm, function
