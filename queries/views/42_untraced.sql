-- untraced   Calls to servers that were not traced.
--
-- Needs: calls, owner, layer_rule

CREATE OR REPLACE VIEW untraced_call AS
-- One row per call whose other end was not traced.
SELECT
  c.owner_sock AS parent_sock,
  c.owner_recv_ts_ns AS parent_recv_ts_ns,
  c.ts_ns,
  c.server_addr,
  c.server_port,
  c.endpoint,
  CASE
    WHEN c.ts_ns > o.end_ts_ns THEN 0
    ELSE (c.wait_ns * o.wait_scale)::BIGINT
  END AS wait_ns,
  c.send_bytes,
  c.recv_bytes
FROM calls AS c
JOIN owner AS o
  ON o.sock = c.owner_sock AND o.recv_ts_ns = c.owner_recv_ts_ns
WHERE c.grade = 'untraced';

CREATE OR REPLACE VIEW untraced AS
-- One row per call whose other end was not traced: and what it is called.
SELECT
  parent_sock,
  parent_recv_ts_ns,
  ts_ns,
  'untraced ' || server_addr
    || CASE WHEN server_port > 0 THEN ':' || server_port ELSE '' END AS service,
  coalesce(
    (SELECT arg_min(layer, priority) FROM layer_rule
     WHERE field = 'port' AND pattern = server_port::VARCHAR),
    'untraced'
  ) AS layer,
  endpoint,
  wait_ns,
  send_bytes,
  recv_bytes
FROM untraced_call;

COMMENT ON VIEW untraced_call IS 'one row per call whose other end was not traced';
COMMENT ON COLUMN untraced_call.parent_sock IS 'server-side socket of the request that made it';
COMMENT ON COLUMN untraced_call.parent_recv_ts_ns IS 'ns · first receive of that request';
COMMENT ON COLUMN untraced_call.ts_ns IS 'ns · first send';
COMMENT ON COLUMN untraced_call.server_addr IS 'address called';
COMMENT ON COLUMN untraced_call.server_port IS 'port called, 0 for Unix sockets';
COMMENT ON COLUMN untraced_call.endpoint IS 'normalised request line or statement';
COMMENT ON COLUMN untraced_call.wait_ns IS 'ns · waited for it, whole';
COMMENT ON COLUMN untraced_call.send_bytes IS 'bytes · sent';
COMMENT ON COLUMN untraced_call.recv_bytes IS 'bytes · received';
COMMENT ON VIEW untraced IS 'one row per call whose other end was not traced: and its name';
COMMENT ON COLUMN untraced.parent_sock IS 'server-side socket of the request that made it';
COMMENT ON COLUMN untraced.parent_recv_ts_ns IS 'ns · first receive of that request';
COMMENT ON COLUMN untraced.ts_ns IS 'ns · first send';
COMMENT ON COLUMN untraced.service IS 'address and port called';
COMMENT ON COLUMN untraced.layer IS 'by port';
COMMENT ON COLUMN untraced.endpoint IS 'normalised request line or statement';
COMMENT ON COLUMN untraced.wait_ns IS 'ns · waited for it, whole';
COMMENT ON COLUMN untraced.send_bytes IS 'bytes · sent';
COMMENT ON COLUMN untraced.recv_bytes IS 'bytes · received';
