-- transactions   Place every request below its root.
--
-- Needs: requests

CREATE OR REPLACE VIEW tree AS
-- One row per request.
WITH RECURSIVE below AS (
  SELECT
    sock AS root_sock,
    recv_ts_ns AS root_recv_ts_ns,
    sock,
    recv_ts_ns,
    0 AS depth,
    1.0::DOUBLE AS critical_share
  FROM requests
  WHERE parent_sock IS NULL
  UNION ALL
  SELECT
    b.root_sock,
    b.root_recv_ts_ns,
    r.sock,
    r.recv_ts_ns,
    b.depth + 1,
    b.critical_share * r.waited_share
  FROM below AS b
  JOIN requests AS r
    ON r.parent_sock = b.sock AND r.parent_recv_ts_ns = b.recv_ts_ns
  WHERE b.depth < 16
)
SELECT * FROM below;

COMMENT ON VIEW tree IS 'one row per request, below its root';
COMMENT ON COLUMN tree.root_sock IS 'server-side socket of the root';
COMMENT ON COLUMN tree.root_recv_ts_ns IS 'ns · first receive of the root; with root_sock, its name';
COMMENT ON COLUMN tree.sock IS 'server-side socket';
COMMENT ON COLUMN tree.recv_ts_ns IS 'ns · first receive; with sock, its name';
COMMENT ON COLUMN tree.depth IS 'calls between the root and this request';
COMMENT ON COLUMN tree.critical_share IS
  '0..1 · share of this request''s wall time that is part of the root''s';
