-- transactions   Place every request below its root.
--
-- Needs: requests, roots

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

CREATE OR REPLACE VIEW placed AS
-- One row per request below a root, the root itself too: its ledger and its place.
SELECT
  t.root_sock,
  t.root_recv_ts_ns,
  o.endpoint AS root_endpoint,
  o.complete AS root_complete,
  t.depth,
  t.critical_share,
  r.*
FROM tree AS t
JOIN requests AS r USING (sock, recv_ts_ns)
JOIN roots AS o ON o.sock = t.root_sock AND o.recv_ts_ns = t.root_recv_ts_ns;

COMMENT ON VIEW tree IS 'one row per request, below its root';
COMMENT ON COLUMN tree.root_sock IS 'server-side socket of the root';
COMMENT ON COLUMN tree.root_recv_ts_ns IS 'ns · first receive of the root; with root_sock, its name';
COMMENT ON COLUMN tree.sock IS 'server-side socket';
COMMENT ON COLUMN tree.recv_ts_ns IS 'ns · first receive; with sock, its name';
COMMENT ON COLUMN tree.depth IS 'calls between the root and this request';
COMMENT ON COLUMN tree.critical_share IS
  '0..1 · share of this request''s wall time that is part of the root''s';
COMMENT ON VIEW placed IS 'one row per request below a root: its ledger and its place';
COMMENT ON COLUMN placed.root_sock IS 'server-side socket of the root';
COMMENT ON COLUMN placed.root_recv_ts_ns IS
  'ns · first receive of the root; with root_sock, its name';
COMMENT ON COLUMN placed.root_endpoint IS 'normalised request line or statement of the root';
COMMENT ON COLUMN placed.root_complete IS
  'false: the root was not answered before its connection or the capture ended';
COMMENT ON COLUMN placed.depth IS 'calls between the root and this request';
COMMENT ON COLUMN placed.critical_share IS
  '0..1 · share of this request''s wall time that is part of the root''s';
COMMENT ON COLUMN placed.sock IS 'server-side socket';
COMMENT ON COLUMN placed.recv_ts_ns IS 'ns · first receive; with sock, its name';
COMMENT ON COLUMN placed.ts_ns IS 'ns · arrival of its first byte';
COMMENT ON COLUMN placed.parent_sock IS 'the calling request, NULL for a root';
COMMENT ON COLUMN placed.parent_recv_ts_ns IS 'ns · the calling request, NULL for a root';
COMMENT ON COLUMN placed.pid IS 'process that served it';
COMMENT ON COLUMN placed.tid IS 'thread that received it';
COMMENT ON COLUMN placed.service IS 'the program, or the script that an interpreter runs';
COMMENT ON COLUMN placed.layer IS 'gateway, sidecar, app, database, cache, messaging';
COMMENT ON COLUMN placed.endpoint IS 'normalised request line or statement';
COMMENT ON COLUMN placed.protocol IS 'http, postgresql, redis, or empty';
COMMENT ON COLUMN placed.wall_ns IS 'ns · arrival of the first byte to the last byte sent';
COMMENT ON COLUMN placed.cpu_ns IS 'ns · on a CPU for this request, within its wall time';
COMMENT ON COLUMN placed.runq_ns IS 'ns · runnable, waiting for a CPU';
COMMENT ON COLUMN placed.disk_ns IS 'ns · off CPU for a disk';
COMMENT ON COLUMN placed.lock_ns IS 'ns · off CPU for a lock';
COMMENT ON COLUMN placed.sleep_ns IS 'ns · asleep by its own wish';
COMMENT ON COLUMN placed.queue_ns IS 'ns · bytes had arrived and were not yet worked on';
COMMENT ON COLUMN placed.net_ns IS 'ns · calls less the requests they became';
COMMENT ON COLUMN placed.downstream_ns IS
  'ns · in calls: shown in the ledger of the callee, or as untraced';
COMMENT ON COLUMN placed.other_ns IS 'ns · off CPU for another reason';
COMMENT ON COLUMN placed.unexplained_ns IS 'ns · what is left';
COMMENT ON COLUMN placed.cpu_spent_ns IS 'ns · CPU time of all its threads, after the answer too';
COMMENT ON COLUMN placed.waited_share IS '0..1 · share of it that its caller waited for';
COMMENT ON COLUMN placed.other_syscall IS 'system call of the last other wait, -1 for none';
COMMENT ON COLUMN placed.calls IS 'calls · made by it';
COMMENT ON COLUMN placed.handovers IS 'events · moves to another thread';
COMMENT ON COLUMN placed.recv_bytes IS 'bytes · received';
COMMENT ON COLUMN placed.send_bytes IS 'bytes · sent';
COMMENT ON COLUMN placed.status IS 'HTTP status, 0 where unknown';
COMMENT ON COLUMN placed.error IS 'the answer says that it failed';
COMMENT ON COLUMN placed.grade IS 'root, or how the caller was found: exact, matched, inherited';
COMMENT ON COLUMN placed.complete IS
  'false: not answered before its connection or the capture ended';
