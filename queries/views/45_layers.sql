-- layers   Who called whom, and the layer of every process.
--
-- Needs: process_service, requests

CREATE OR REPLACE VIEW request_caller AS
-- One row per request, with the service that called it.
SELECT
  p.service AS caller,
  r.service,
  r.layer,
  r.sock,
  r.recv_ts_ns,
  r.parent_sock,
  r.wall_ns,
  r.status,
  r.error,
  r.recv_bytes,
  r.send_bytes
FROM requests AS r
LEFT JOIN requests AS p
  ON p.sock = r.parent_sock AND p.recv_ts_ns = r.parent_recv_ts_ns;

CREATE OR REPLACE VIEW process_layer AS
-- One row per process. Whether a proxy is a gateway or a sidecar is in its
-- requests: most of them come from outside, or from a traced caller.
WITH served AS (
  SELECT pid, count(parent_sock) > count(*) / 2 AS called
  FROM requests
  GROUP BY pid
)
SELECT
  p.pid,
  p.service,
  CASE
    WHEN p.layer <> 'proxy' THEN p.layer
    WHEN s.called THEN 'sidecar'
    ELSE 'gateway'
  END AS layer
FROM process_service AS p
LEFT JOIN served AS s USING (pid);

COMMENT ON VIEW request_caller IS 'one row per request, with the service that called it';
COMMENT ON COLUMN request_caller.caller IS 'calling service, NULL for a root';
COMMENT ON COLUMN request_caller.service IS 'the program, or the script that an interpreter runs';
COMMENT ON COLUMN request_caller.layer IS 'gateway, sidecar, app, database, cache, messaging';
COMMENT ON COLUMN request_caller.sock IS 'server-side socket';
COMMENT ON COLUMN request_caller.recv_ts_ns IS 'ns · first receive; with sock, its name';
COMMENT ON COLUMN request_caller.parent_sock IS 'the calling request, NULL for a root';
COMMENT ON COLUMN request_caller.wall_ns IS 'ns · arrival of the first byte to the last byte sent';
COMMENT ON COLUMN request_caller.status IS 'HTTP status, 0 where unknown';
COMMENT ON COLUMN request_caller.error IS 'the answer says that it failed';
COMMENT ON COLUMN request_caller.recv_bytes IS 'bytes · received';
COMMENT ON COLUMN request_caller.send_bytes IS 'bytes · sent';
COMMENT ON VIEW process_layer IS 'one row per process: its service and layer';
COMMENT ON COLUMN process_layer.pid IS 'process';
COMMENT ON COLUMN process_layer.service IS
  'the program, or the script that an interpreter runs';
COMMENT ON COLUMN process_layer.layer IS
  'gateway, sidecar, app, database, cache, messaging';
