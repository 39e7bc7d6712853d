-- host_costs   What the host used beside its requests, and the window that is priced.
--
-- Needs: cost_own, process_service, request_io, request_writeback, block_io, disk, host_cpu, host_disk,
-- host_net, process, process_stat, capture, span, loss

CREATE OR REPLACE VIEW cost_unattributed AS
-- One row per resource: the host's own counters less what requests used.
WITH used AS (
  SELECT
    coalesce(sum(cpu_ns), 0) AS cpu_ns,
    coalesce(sum(disk_ios), 0) AS disk_ios,
    coalesce(sum(disk_bytes), 0) AS disk_bytes,
    coalesce(sum(recv_bytes), 0) AS recv_bytes,
    coalesce(sum(send_bytes), 0) AS send_bytes
  FROM cost_own
), disks AS (
  SELECT sum(reads + writes) AS ios, sum(read_bytes + write_bytes) AS bytes
  FROM host_disk
), nets AS (
  SELECT sum(recv_bytes) AS recv_bytes, sum(send_bytes) AS send_bytes
  FROM host_net
  WHERE interface <> 'lo'
), counted AS (
  SELECT 'cpu' AS resource, (SELECT sum(user_ns + system_ns) FROM host_cpu) AS whole,
    cpu_ns AS part FROM used
  UNION ALL
  SELECT 'disk_ios', disks.ios, disk_ios FROM used, disks
  UNION ALL
  SELECT 'disk_bytes', disks.bytes, disk_bytes FROM used, disks
  UNION ALL
  SELECT 'recv_bytes', nets.recv_bytes, used.recv_bytes FROM used, nets
  UNION ALL
  SELECT 'send_bytes', nets.send_bytes, used.send_bytes FROM used, nets
)
SELECT resource, greatest(0, coalesce(whole, 0) - part)::BIGINT AS use
FROM counted;

CREATE OR REPLACE VIEW cost_tracer AS
-- One row: the CPU time of stackledger's recorders and of their bpftraces.
WITH recorder AS (
  SELECT DISTINCT p.pid
  FROM process AS p
  JOIN process AS child ON child.ppid = p.pid AND child.comm = 'bpftrace'
  WHERE contains(p.cmdline, 'stackledger')
), tracer AS (
  SELECT pid FROM recorder
  UNION
  SELECT pid FROM process
  WHERE comm = 'bpftrace' AND ppid IN (SELECT pid FROM recorder)
)
SELECT coalesce(sum(coalesce(cpu_ns, user_ns + system_ns)), 0)::BIGINT AS cpu_ns
FROM process_stat
WHERE pid IN (SELECT pid FROM tracer);

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
WITH used AS (
  SELECT DISTINCT io.dev, r.pid, r.depth = 0 AS first
  FROM cost_own AS r
  JOIN request_io AS io USING (sock, recv_ts_ns)
  UNION
  -- Which disk got a request's dirty pages is not known: each that they were written to.
  SELECT DISTINCT b.dev, r.pid, r.depth = 0
  FROM cost_own AS r
  JOIN request_writeback AS w USING (sock, recv_ts_ns), (
    SELECT DISTINCT dev FROM block_io
    WHERE contains(rwbs, 'W') AND pid IN (SELECT pid FROM flusher)
  ) AS b
), users AS (
  SELECT DISTINCT u.dev, layer_of(s.layer, u.first) AS layer
  FROM used AS u
  LEFT JOIN process_service AS s USING (pid)
), busy AS (
  SELECT DISTINCT dev FROM block_io
)
SELECT c.host, d.name AS device, coalesce(u.layer, '(no request)') AS layer
FROM busy AS b
JOIN disk AS d USING (dev)
LEFT JOIN users AS u USING (dev), capture AS c;

COMMENT ON VIEW cost_unattributed IS 'one row per resource: use that belongs to no request';
COMMENT ON COLUMN cost_unattributed.resource IS
  'cpu (ns), disk_ios, disk_bytes, recv_bytes, send_bytes';
COMMENT ON COLUMN cost_unattributed.use IS
  'in the resource''s unit; the tracer''s own is in it';
COMMENT ON VIEW cost_tracer IS 'one row: what recording itself used';
COMMENT ON COLUMN cost_tracer.cpu_ns IS
  'ns · CPU time of the recorder and its bpftraces; probes run on the traced threads'' time';
COMMENT ON VIEW cost_window IS 'one row: the window that the bill is for';
COMMENT ON COLUMN cost_window.host IS 'host';
COMMENT ON COLUMN cost_window.window_ns IS 'ns · length of the time range';
COMMENT ON COLUMN cost_window.cpus IS 'CPUs of the host';
COMMENT ON COLUMN cost_window.lost_share IS '0..1 · rows lost of all tables';
COMMENT ON VIEW cost_disks IS 'one row per disk and layer that used it';
COMMENT ON COLUMN cost_disks.host IS 'host';
COMMENT ON COLUMN cost_disks.device IS 'name of the disk';
COMMENT ON COLUMN cost_disks.layer IS 'layer whose requests used it, or (no request)';
