-- costs   What every transaction used: the input of the cost table.
--
-- Needs: requests, tree, flow, block_io, disk, host_cpu, host_disk, host_net, capture, span,
-- loss

CREATE OR REPLACE VIEW request_io AS
-- One row per request and disk: the block I/O that its thread submitted meanwhile.
WITH submitted AS (
  SELECT
    tid, dev, bytes,
    ts_ns - device_ns - coalesce(queue_ns, 0) AS submitted_ts_ns
  FROM block_io
  WHERE tid IS NOT NULL AND device_ns IS NOT NULL
), matched AS (
  SELECT r.sock, r.recv_ts_ns, r.ts_ns + r.wall_ns AS end_ts_ns, b.*
  FROM submitted AS b
  ASOF JOIN requests AS r
    ON r.tid = b.tid AND r.recv_ts_ns <= b.submitted_ts_ns
)
SELECT
  sock,
  recv_ts_ns,
  dev,
  -- A cloud volume counts 256 KiB of one transfer as one I/O.
  sum(greatest(1, (bytes + 262143) // 262144))::BIGINT AS ios,
  sum(bytes)::BIGINT AS bytes
FROM matched
WHERE submitted_ts_ns <= end_ts_ns
GROUP BY ALL;

CREATE OR REPLACE VIEW cost_usage AS
-- One row per root endpoint, layer and service.
WITH io AS (
  SELECT sock, recv_ts_ns, sum(ios) AS ios, sum(bytes) AS bytes
  FROM request_io
  GROUP BY ALL
), outside AS (
  -- Bytes to and from other machines: neither loopback nor this host's own.
  SELECT sock, ts_ns AS conn_ts_ns
  FROM connection
  WHERE family <> 1
    AND NOT (replace(remote_addr, '::ffff:', '') LIKE '127.%' OR remote_addr = '::1')
    AND replace(remote_addr, '::ffff:', '')
      NOT IN (SELECT replace(local_addr, '::ffff:', '') FROM connection)
), called AS (
  SELECT c.owner_sock, c.owner_recv_ts_ns, sum(c.send_bytes + c.recv_bytes) AS bytes
  FROM call AS c
  JOIN outside USING (sock, conn_ts_ns)
  GROUP BY ALL
), answered AS (
  SELECT q.sock, q.recv_ts_ns, q.send_bytes + q.recv_bytes AS bytes
  FROM request AS q
  JOIN outside USING (sock, conn_ts_ns)
), placed AS (
  SELECT root.endpoint AS root_endpoint, r.*
  FROM tree AS t
  JOIN requests AS r ON r.sock = t.sock AND r.recv_ts_ns = t.recv_ts_ns
  JOIN requests AS root
    ON root.sock = t.root_sock AND root.recv_ts_ns = t.root_recv_ts_ns
), roots AS (
  SELECT endpoint AS root_endpoint, count(*) AS n
  FROM requests
  WHERE parent_sock IS NULL
  GROUP BY ALL
)
SELECT
  p.root_endpoint AS endpoint,
  p.layer,
  p.service,
  any_value(n.n)::BIGINT AS requests,
  sum(p.cpu_spent_ns)::BIGINT AS cpu_ns,
  coalesce(sum(io.ios), 0)::BIGINT AS disk_ios,
  coalesce(sum(io.bytes), 0)::BIGINT AS disk_bytes,
  (coalesce(sum(called.bytes), 0) + coalesce(sum(answered.bytes), 0))::BIGINT AS net_bytes
FROM placed AS p
JOIN roots AS n USING (root_endpoint)
LEFT JOIN io ON io.sock = p.sock AND io.recv_ts_ns = p.recv_ts_ns
LEFT JOIN answered ON answered.sock = p.sock AND answered.recv_ts_ns = p.recv_ts_ns
LEFT JOIN called
  ON called.owner_sock = p.sock AND called.owner_recv_ts_ns = p.recv_ts_ns
GROUP BY p.root_endpoint, p.layer, p.service;

CREATE OR REPLACE VIEW cost_unattributed AS
-- One row per resource: the host's own counters less what requests used.
WITH used AS (
  SELECT
    sum(cpu_ns) AS cpu_ns, sum(disk_ios) AS disk_ios,
    sum(disk_bytes) AS disk_bytes, sum(net_bytes) AS net_bytes
  FROM cost_usage
)
SELECT 'cpu' AS resource,
  greatest(0, coalesce((SELECT sum(user_ns + system_ns) FROM host_cpu), 0)
    - coalesce(cpu_ns, 0))::BIGINT AS use
FROM used
UNION ALL
SELECT 'disk_ios',
  greatest(0, coalesce((SELECT sum(reads + writes) FROM host_disk), 0)
    - coalesce(disk_ios, 0))::BIGINT
FROM used
UNION ALL
SELECT 'disk_bytes',
  greatest(0, coalesce((SELECT sum(read_bytes + write_bytes) FROM host_disk), 0)
    - coalesce(disk_bytes, 0))::BIGINT
FROM used
UNION ALL
SELECT 'net_bytes',
  greatest(0, coalesce((SELECT sum(recv_bytes + send_bytes) FROM host_net
    WHERE interface <> 'lo'), 0) - coalesce(net_bytes, 0))::BIGINT
FROM used;

CREATE OR REPLACE VIEW cost_window AS
-- One row: the time range that is priced.
SELECT
  host,
  dur_ns AS window_ns,
  cpus,
  coalesce((
    SELECT sum(coalesce(lost, 0) + undecodable)
      / nullif(sum(received + coalesce(lost, 0) + undecodable), 0)
    FROM loss
  ), 0)::DOUBLE AS lost_share
FROM capture, span;

CREATE OR REPLACE VIEW cost_disks AS
-- One row per whole disk and layer whose requests used it.
WITH users AS (
  SELECT DISTINCT io.dev, r.layer
  FROM request_io AS io
  JOIN requests AS r USING (sock, recv_ts_ns)
), busy AS (
  SELECT DISTINCT dev FROM block_io
)
SELECT c.host, d.name AS device, coalesce(u.layer, '(no request)') AS layer
FROM busy AS b
JOIN disk AS d USING (dev)
LEFT JOIN users AS u USING (dev), capture AS c;

COMMENT ON VIEW request_io IS 'one row per request and disk that its thread used';
COMMENT ON COLUMN request_io.sock IS 'server-side socket';
COMMENT ON COLUMN request_io.recv_ts_ns IS 'ns · first receive; with sock, the request';
COMMENT ON COLUMN request_io.dev IS 'kernel dev_t: major << 20 | minor';
COMMENT ON COLUMN request_io.ios IS 'I/Os · of at most 256 KiB, as volumes are billed';
COMMENT ON COLUMN request_io.bytes IS 'bytes · read and written';
COMMENT ON VIEW cost_usage IS 'one row per root endpoint, layer and service: what it used';
COMMENT ON COLUMN cost_usage.endpoint IS 'endpoint of the root';
COMMENT ON COLUMN cost_usage.layer IS 'layer';
COMMENT ON COLUMN cost_usage.service IS 'service';
COMMENT ON COLUMN cost_usage.requests IS 'requests · roots of the endpoint';
COMMENT ON COLUMN cost_usage.cpu_ns IS 'ns · CPU time, after the answer too';
COMMENT ON COLUMN cost_usage.disk_ios IS 'I/Os · submitted while serving';
COMMENT ON COLUMN cost_usage.disk_bytes IS 'bytes · of those I/Os';
COMMENT ON COLUMN cost_usage.net_bytes IS 'bytes · to and from other machines';
COMMENT ON VIEW cost_unattributed IS 'one row per resource: use that belongs to no request';
COMMENT ON COLUMN cost_unattributed.resource IS 'cpu (ns), disk_ios, disk_bytes, net_bytes';
COMMENT ON COLUMN cost_unattributed.use IS 'in the resource''s unit';
COMMENT ON VIEW cost_window IS 'one row: the window that the bill is for';
COMMENT ON COLUMN cost_window.host IS 'host';
COMMENT ON COLUMN cost_window.window_ns IS 'ns · length of the time range';
COMMENT ON COLUMN cost_window.cpus IS 'CPUs of the host';
COMMENT ON COLUMN cost_window.lost_share IS '0..1 · rows lost of all tables';
COMMENT ON VIEW cost_disks IS 'one row per disk and layer that used it';
COMMENT ON COLUMN cost_disks.host IS 'host';
COMMENT ON COLUMN cost_disks.device IS 'name of the disk';
COMMENT ON COLUMN cost_disks.layer IS 'layer whose requests used it, or (no request)';
