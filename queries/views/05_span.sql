-- span   The time that the rows are from: all of the capture, or what was asked for.
--
-- Needs: capture

CREATE OR REPLACE VIEW span AS
-- One row.
WITH bounds AS (
  SELECT
    greatest(started_ts_ns, coalesce(getvariable('from_ts_ns'), started_ts_ns))
      AS from_ts_ns,
    least(ended_ts_ns, coalesce(getvariable('until_ts_ns'), ended_ts_ns))
      AS until_ts_ns
  FROM capture
)
SELECT
  from_ts_ns,
  until_ts_ns,
  greatest(1, until_ts_ns - from_ts_ns) AS dur_ns
FROM bounds;

COMMENT ON VIEW span IS 'one row: the time range that the rows are from, for rates';
COMMENT ON COLUMN span.from_ts_ns IS 'ns · its start: the capture''s, or --from';
COMMENT ON COLUMN span.until_ts_ns IS 'ns · its end, not included: the capture''s, or --until';
COMMENT ON COLUMN span.dur_ns IS 'ns · its length, 1 or more';
