-- roots   Which requests are roots, and which of them lie around a percentile.
--
-- Needs: capture, request, edge
--
-- Cheap: no part of a ledger is needed for it, only who called whom.

CREATE OR REPLACE MACRO endpoint_name(endpoint, statement) AS
CASE
  WHEN endpoint <> '' THEN endpoint
  WHEN statement <> '' THEN '(prepared ' || statement || ')'
  ELSE '(unknown)'
END;

CREATE OR REPLACE VIEW linked AS
-- One row per request that a traced request called.
SELECT
  e.request_sock AS sock,
  e.request_recv_ts_ns AS recv_ts_ns,
  e.owner_sock AS parent_sock,
  e.owner_recv_ts_ns AS parent_recv_ts_ns
FROM edge AS e
SEMI JOIN (
  SELECT sock, recv_ts_ns
  FROM request
  WHERE endpoint <> '(terminate)'
    AND ts_ns >= (SELECT started_ts_ns FROM capture)
) AS r ON r.sock = e.owner_sock AND r.recv_ts_ns = e.owner_recv_ts_ns;

CREATE OR REPLACE VIEW roots AS
-- One row per root.
SELECT
  r.sock,
  r.recv_ts_ns,
  r.ts_ns,
  endpoint_name(r.endpoint, r.statement) AS endpoint,
  r.wall_ns,
  r.complete
FROM request AS r
ANTI JOIN linked AS l USING (sock, recv_ts_ns)
WHERE r.endpoint <> '(terminate)'
  AND r.ts_ns >= (SELECT started_ts_ns FROM capture);

CREATE OR REPLACE MACRO banded(wanted, percentile) AS TABLE
-- One row per band (slow, median) and root in it, of one endpoint or (NULL) of
-- all. A band is half a percent on either side, and at least ten roots.
WITH ranked AS MATERIALIZED (
  SELECT
    sock,
    recv_ts_ns,
    wall_ns,
    row_number() OVER (ORDER BY wall_ns, ts_ns, sock) - 0.5 AS place
  FROM roots
  WHERE complete AND (wanted IS NULL OR endpoint = wanted)
), counted AS (
  SELECT count(*) AS n, greatest(0.005, 5.0 / count(*)) AS half FROM ranked
), bands AS (
  SELECT
    n,
    n * (least(percentile / 100.0, 1 - half) - half) AS slow_from,
    n * (least(percentile / 100.0, 1 - half) + half) AS slow_to,
    n * (0.5 - greatest(0.05, half)) AS median_from,
    n * (0.5 + greatest(0.05, half)) AS median_to
  FROM counted
)
SELECT 'slow' AS band, r.* EXCLUDE (place), b.n
FROM ranked AS r, bands AS b
WHERE r.place BETWEEN b.slow_from AND b.slow_to
UNION ALL
SELECT 'median' AS band, r.* EXCLUDE (place), b.n
FROM ranked AS r, bands AS b
WHERE r.place BETWEEN b.median_from AND b.median_to;

COMMENT ON VIEW linked IS 'one row per request that a traced request called';
COMMENT ON COLUMN linked.sock IS 'server-side socket';
COMMENT ON COLUMN linked.recv_ts_ns IS 'ns · first receive; with sock, the request';
COMMENT ON COLUMN linked.parent_sock IS 'server-side socket of the calling request';
COMMENT ON COLUMN linked.parent_recv_ts_ns IS 'ns · first receive of the calling request';
COMMENT ON VIEW roots IS 'one row per request that no traced request called';
COMMENT ON COLUMN roots.sock IS 'server-side socket';
COMMENT ON COLUMN roots.recv_ts_ns IS 'ns · first receive; with sock, its name';
COMMENT ON COLUMN roots.ts_ns IS 'ns · arrival of its first byte';
COMMENT ON COLUMN roots.endpoint IS 'normalised request line or statement';
COMMENT ON COLUMN roots.wall_ns IS 'ns · arrival of the first byte to the last byte sent';
COMMENT ON COLUMN roots.complete IS
  'false: not answered before its connection or the capture ended';
