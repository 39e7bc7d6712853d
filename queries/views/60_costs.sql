-- costs   What every request used: the input of the cost table.
--
-- Needs: request, roots, process_service, worked, cost_tree, request_io, request_writeback,
-- request_traffic

CREATE OR REPLACE MACRO layer_of(layer, first) AS
-- A proxy is the gateway where it is asked first, else a sidecar.
CASE WHEN layer <> 'proxy' THEN layer WHEN first THEN 'gateway' ELSE 'sidecar' END;

CREATE OR REPLACE VIEW cost_worked AS
-- One row per request below a root, the root itself too: its place and its CPU time.
SELECT
  b.root_sock, b.root_recv_ts_ns, b.depth, r.sock, r.recv_ts_ns, r.ts_ns, r.pid, r.cpu_spent_ns
FROM cost_tree AS b
JOIN worked AS r USING (sock, recv_ts_ns);

CREATE OR REPLACE VIEW cost_own AS
-- One row per request below a root, the root itself too: what it used.
WITH io AS (
  SELECT sock, recv_ts_ns, sum(ios)::BIGINT AS ios, sum(bytes)::BIGINT AS bytes
  FROM (
    SELECT sock, recv_ts_ns, ios, bytes FROM request_io
    UNION ALL
    SELECT sock, recv_ts_ns, ios, bytes FROM request_writeback
  )
  GROUP BY ALL
), traffic AS (
  SELECT
    sock, recv_ts_ns, sum(recv_bytes)::BIGINT AS recv_bytes,
    sum(send_bytes)::BIGINT AS send_bytes
  FROM request_traffic
  GROUP BY ALL
)
SELECT
  r.root_sock,
  r.root_recv_ts_ns,
  r.depth,
  r.sock,
  r.recv_ts_ns,
  r.ts_ns,
  r.pid,
  r.cpu_spent_ns AS cpu_ns,
  coalesce(io.ios, 0) AS disk_ios,
  coalesce(io.bytes, 0) AS disk_bytes,
  coalesce(t.recv_bytes, 0) AS recv_bytes,
  coalesce(t.send_bytes, 0) AS send_bytes
FROM cost_worked AS r
LEFT JOIN io USING (sock, recv_ts_ns)
LEFT JOIN traffic AS t USING (sock, recv_ts_ns);

CREATE OR REPLACE VIEW cost_request AS
-- One row per request below a root, the root itself too: who it was, and what it used.
SELECT
  o.*,
  layer_of(s.layer, o.depth = 0) AS layer,
  s.service,
  endpoint_name(r.endpoint, r.statement) AS endpoint
FROM cost_own AS o
JOIN request AS r USING (sock, recv_ts_ns)
LEFT JOIN process_service AS s ON s.pid = o.pid;

CREATE OR REPLACE VIEW cost_usage AS
-- One row per root endpoint, layer and service.
WITH counted AS (
  SELECT endpoint, count(*) AS requests FROM roots GROUP BY endpoint
)
SELECT
  root.endpoint,
  r.layer,
  r.service,
  any_value(n.requests)::BIGINT AS requests,
  sum(r.cpu_ns)::BIGINT AS cpu_ns,
  sum(r.disk_ios)::BIGINT AS disk_ios,
  sum(r.disk_bytes)::BIGINT AS disk_bytes,
  sum(r.recv_bytes + r.send_bytes)::BIGINT AS net_bytes
FROM cost_request AS r
JOIN roots AS root
  ON root.sock = r.root_sock AND root.recv_ts_ns = r.root_recv_ts_ns
JOIN counted AS n ON n.endpoint = root.endpoint
GROUP BY root.endpoint, r.layer, r.service;

COMMENT ON VIEW cost_worked IS 'one row per request below a root: its place and its CPU time';
COMMENT ON COLUMN cost_worked.root_sock IS 'server-side socket of the root';
COMMENT ON COLUMN cost_worked.root_recv_ts_ns IS 'ns · first receive of the root; with root_sock, its name';
COMMENT ON COLUMN cost_worked.depth IS 'calls between the root and this request';
COMMENT ON COLUMN cost_worked.sock IS 'server-side socket';
COMMENT ON COLUMN cost_worked.recv_ts_ns IS 'ns · first receive; with sock, its name';
COMMENT ON COLUMN cost_worked.ts_ns IS 'ns · arrival of its first byte';
COMMENT ON COLUMN cost_worked.pid IS 'process that served it';
COMMENT ON COLUMN cost_worked.cpu_spent_ns IS
  'ns · CPU time of all its threads, after the answer too';
COMMENT ON VIEW cost_own IS 'one row per request below a root: what it used';
COMMENT ON COLUMN cost_own.root_sock IS 'server-side socket of its root';
COMMENT ON COLUMN cost_own.root_recv_ts_ns IS 'ns · first receive of its root';
COMMENT ON COLUMN cost_own.depth IS 'calls between it and its root';
COMMENT ON COLUMN cost_own.sock IS 'server-side socket';
COMMENT ON COLUMN cost_own.recv_ts_ns IS 'ns · first receive; with sock, the request';
COMMENT ON COLUMN cost_own.ts_ns IS 'ns · arrival of its first byte';
COMMENT ON COLUMN cost_own.pid IS 'process that served it';
COMMENT ON COLUMN cost_own.cpu_ns IS 'ns · CPU time, after the answer too';
COMMENT ON COLUMN cost_own.disk_ios IS 'I/Os · submitted or waited for while serving, and write-back';
COMMENT ON COLUMN cost_own.disk_bytes IS 'bytes · of those I/Os';
COMMENT ON COLUMN cost_own.recv_bytes IS 'bytes · from other machines';
COMMENT ON COLUMN cost_own.send_bytes IS 'bytes · to other machines';
COMMENT ON VIEW cost_request IS 'one row per request below a root: who it was, what it used';
COMMENT ON COLUMN cost_request.root_sock IS 'server-side socket of its root';
COMMENT ON COLUMN cost_request.root_recv_ts_ns IS 'ns · first receive of its root';
COMMENT ON COLUMN cost_request.depth IS 'calls between it and its root';
COMMENT ON COLUMN cost_request.sock IS 'server-side socket';
COMMENT ON COLUMN cost_request.recv_ts_ns IS 'ns · first receive; with sock, the request';
COMMENT ON COLUMN cost_request.ts_ns IS 'ns · arrival of its first byte';
COMMENT ON COLUMN cost_request.pid IS 'process that served it';
COMMENT ON COLUMN cost_request.layer IS 'layer';
COMMENT ON COLUMN cost_request.service IS 'service';
COMMENT ON COLUMN cost_request.endpoint IS 'its own normalised request line or statement';
COMMENT ON COLUMN cost_request.cpu_ns IS 'ns · CPU time, after the answer too';
COMMENT ON COLUMN cost_request.disk_ios IS 'I/Os · submitted or waited for while serving, and write-back';
COMMENT ON COLUMN cost_request.disk_bytes IS 'bytes · of those I/Os';
COMMENT ON COLUMN cost_request.recv_bytes IS 'bytes · from other machines';
COMMENT ON COLUMN cost_request.send_bytes IS 'bytes · to other machines';
COMMENT ON VIEW cost_usage IS 'one row per root endpoint, layer and service: what it used';
COMMENT ON COLUMN cost_usage.endpoint IS 'endpoint of the root';
COMMENT ON COLUMN cost_usage.layer IS 'layer';
COMMENT ON COLUMN cost_usage.service IS 'service';
COMMENT ON COLUMN cost_usage.requests IS 'requests · roots of the endpoint';
COMMENT ON COLUMN cost_usage.cpu_ns IS 'ns · CPU time, after the answer too';
COMMENT ON COLUMN cost_usage.disk_ios IS 'I/Os · submitted or waited for while serving, and write-back';
COMMENT ON COLUMN cost_usage.disk_bytes IS 'bytes · of those I/Os';
COMMENT ON COLUMN cost_usage.net_bytes IS 'bytes · to and from other machines';
