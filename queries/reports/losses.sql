-- losses   What the capture knows that it does not hold.
--
-- Answers:  How complete is each table?
-- Params:   none
-- Returns:  one row per table: rows produced by the kernel's own count, received,
--           lost, undecodable; lost_share of produced. NULL is what is not known.
--           dropped: stored rows that were too old to be kept
-- Cost:     none
SELECT
  "table",
  produced,
  received,
  lost,
  undecodable,
  (lost + undecodable)
    / nullif(received + lost + undecodable, 0)::DOUBLE AS lost_share,
  dropped
FROM loss
ORDER BY "table"
