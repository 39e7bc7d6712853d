-- request_use   The traffic and the write-back of every request.
--
-- Needs: capture, request, linked, roots, call, connection, block_io, writeback, page_cache,
-- process, ownerless_io, given_io
--
-- Cheap: who called whom is enough, no part of a ledger is needed.

CREATE OR REPLACE VIEW request_traffic AS
-- One row per request and address outside this host that it exchanged bytes with.
WITH outside AS (
  -- Neither loopback nor one of this host's own addresses.
  SELECT
    sock, ts_ns AS conn_ts_ns, replace(remote_addr, '::ffff:', '') AS remote_addr
  FROM connection
  WHERE family <> 1
    AND NOT (replace(remote_addr, '::ffff:', '') LIKE '127.%' OR remote_addr = '::1')
    AND replace(remote_addr, '::ffff:', '')
      NOT IN (SELECT replace(local_addr, '::ffff:', '') FROM connection)
), moved AS (
  SELECT owner_sock AS sock, owner_recv_ts_ns AS recv_ts_ns,
    o.remote_addr, c.recv_bytes, c.send_bytes
  FROM call AS c
  JOIN outside AS o USING (sock, conn_ts_ns)
  UNION ALL
  SELECT sock, recv_ts_ns, o.remote_addr, r.recv_bytes, r.send_bytes
  FROM request AS r
  JOIN outside AS o USING (sock, conn_ts_ns)
)
SELECT
  sock,
  recv_ts_ns,
  remote_addr,
  sum(recv_bytes)::BIGINT AS recv_bytes,
  sum(send_bytes)::BIGINT AS send_bytes
FROM moved
GROUP BY ALL;

CREATE OR REPLACE VIEW cost_tree AS
-- One row per request below a root, the root itself too.
WITH RECURSIVE below AS (
  SELECT
    sock AS root_sock, recv_ts_ns AS root_recv_ts_ns, sock, recv_ts_ns, 0 AS depth
  FROM roots
  UNION ALL
  SELECT
    b.root_sock, b.root_recv_ts_ns, l.sock, l.recv_ts_ns, b.depth + 1
  FROM below AS b
  JOIN linked AS l
    ON l.parent_sock = b.sock AND l.parent_recv_ts_ns = b.recv_ts_ns
  WHERE b.depth < 16
)
SELECT * FROM below;

CREATE OR REPLACE VIEW flusher AS
-- One row per kernel thread that wrote dirty pages; kthreadd is process 2.
SELECT DISTINCT pid
FROM writeback
WHERE pid IN (SELECT pid FROM process WHERE ppid = 2)
  OR (comm LIKE 'kworker/%' AND pid NOT IN (SELECT pid FROM process));

CREATE OR REPLACE VIEW dirtied AS
-- One row per process: its share of what kernel threads wrote to the disk.
WITH flushed AS (
  SELECT dev, inode, sum(pages) AS pages
  FROM writeback
  WHERE pid IN (SELECT pid FROM flusher)
  GROUP BY ALL
  HAVING sum(pages) > 0
), made AS (
  SELECT pid, dev, inode, sum(dirtied) AS pages
  FROM page_cache
  GROUP BY ALL
  HAVING sum(dirtied) > 0
), own AS (
  -- Written, but dirtied by nobody that was seen: before the capture began.
  SELECT
    m.pid,
    m.pages * f.pages
      / greatest(f.pages, sum(m.pages) OVER (PARTITION BY dev, inode)) AS pages
  FROM made AS m
  JOIN flushed AS f USING (dev, inode)
), synced AS (
  -- These belong to the requests that waited for them.
  SELECT coalesce(sum(ios), 0) AS ios, coalesce(sum(bytes), 0) AS bytes
  FROM ownerless_io
  WHERE number IN (SELECT number FROM given_io)
    AND pid IN (SELECT pid FROM flusher) AND NOT is_read
), written AS (
  SELECT
    sum(greatest(1, (b.bytes + 262143) // 262144)) - any_value(s.ios) AS ios,
    sum(b.bytes) - any_value(s.bytes) AS bytes
  FROM block_io AS b, synced AS s
  WHERE pid IN (SELECT pid FROM flusher) AND contains(rwbs, 'W')
)
SELECT
  pid,
  floor(sum(o.pages) / (SELECT sum(pages) FROM flushed) * any_value(w.ios))::BIGINT AS ios,
  floor(sum(o.pages) / (SELECT sum(pages) FROM flushed) * any_value(w.bytes))::BIGINT
    AS bytes
FROM own AS o, written AS w
WHERE w.bytes > 0
GROUP BY pid;

CREATE OR REPLACE VIEW request_writeback AS
-- One row per request whose process dirtied pages that kernel threads wrote:
-- an equal share of them for each request of the process.
WITH served AS (
  SELECT
    r.sock,
    r.recv_ts_ns,
    r.ios,
    r.bytes,
    row_number() OVER (PARTITION BY r.pid ORDER BY r.recv_ts_ns, r.sock) AS place,
    count(*) OVER (PARTITION BY r.pid) AS n
  FROM cost_tree AS t
  JOIN (
    SELECT * FROM request JOIN dirtied USING (pid)
  ) AS r USING (sock, recv_ts_ns)
)
SELECT
  sock,
  recv_ts_ns,
  (ios * place // n - ios * (place - 1) // n)::BIGINT AS ios,
  (bytes * place // n - bytes * (place - 1) // n)::BIGINT AS bytes
FROM served;

COMMENT ON VIEW request_traffic IS 'one row per request and address of another machine';
COMMENT ON COLUMN request_traffic.sock IS 'server-side socket';
COMMENT ON COLUMN request_traffic.recv_ts_ns IS 'ns · first receive; with sock, the request';
COMMENT ON COLUMN request_traffic.remote_addr IS 'address of the other end';
COMMENT ON COLUMN request_traffic.recv_bytes IS 'bytes · received, its calls'' answers too';
COMMENT ON COLUMN request_traffic.send_bytes IS 'bytes · sent, its calls too';
COMMENT ON VIEW cost_tree IS 'one row per request below a root, the root itself too';
COMMENT ON COLUMN cost_tree.root_sock IS 'server-side socket of the root';
COMMENT ON COLUMN cost_tree.root_recv_ts_ns IS 'ns · first receive of the root';
COMMENT ON COLUMN cost_tree.sock IS 'server-side socket';
COMMENT ON COLUMN cost_tree.recv_ts_ns IS 'ns · first receive; with sock, the request';
COMMENT ON COLUMN cost_tree.depth IS 'calls between it and its root';
COMMENT ON VIEW flusher IS 'one row per kernel thread that wrote dirty pages';
COMMENT ON COLUMN flusher.pid IS 'process number of the thread';
COMMENT ON VIEW dirtied IS 'one row per process: its share of what kernel threads wrote';
COMMENT ON COLUMN dirtied.pid IS 'process that made the pages dirty';
COMMENT ON COLUMN dirtied.ios IS 'I/Os · of at most 256 KiB';
COMMENT ON COLUMN dirtied.bytes IS 'bytes · written';
COMMENT ON VIEW request_writeback IS
  'one row per request whose process dirtied pages that kernel threads wrote';
COMMENT ON COLUMN request_writeback.sock IS 'server-side socket';
COMMENT ON COLUMN request_writeback.recv_ts_ns IS 'ns · first receive; with sock, the request';
COMMENT ON COLUMN request_writeback.ios IS 'I/Os · an equal share of the process''s';
COMMENT ON COLUMN request_writeback.bytes IS 'bytes · of those I/Os';
