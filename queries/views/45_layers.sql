-- layers   Name the layer of every process, as the ledger does.
--
-- Needs: process_service, requests

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

COMMENT ON VIEW process_layer IS 'one row per process: its service and layer';
COMMENT ON COLUMN process_layer.pid IS 'process';
COMMENT ON COLUMN process_layer.service IS
  'the program, or the script that an interpreter runs';
COMMENT ON COLUMN process_layer.layer IS
  'gateway, sidecar, app, database, cache, messaging';
