-- request_io   The block I/O of every request, and what the kernel submitted for it.
--
-- Needs: capture, request, block_io

CREATE OR REPLACE VIEW worked AS
-- One row per request: when and on which thread, and what CPU time it took.
SELECT sock, recv_ts_ns, ts_ns, wall_ns, pid, tid, cpu_ns + after_cpu_ns AS cpu_spent_ns
FROM request
WHERE endpoint <> '(terminate)'
  -- Before that, not every probe was in place.
  AND ts_ns >= (SELECT started_ts_ns FROM capture);

CREATE OR REPLACE VIEW submitted_io AS
-- One row per request and disk: the block I/O that its thread submitted meanwhile.
WITH submitted AS (
  SELECT
    tid, dev, bytes, rwbs,
    coalesce(device_ns, 0) + coalesce(queue_ns, 0) AS service_ns,
    ts_ns - coalesce(device_ns, 0) - coalesce(queue_ns, 0) AS submitted_ts_ns
  FROM block_io
  WHERE tid IS NOT NULL
), served AS (
  SELECT tid, sock, recv_ts_ns, ts_ns + wall_ns AS end_ts_ns
  FROM worked
  WHERE tid IN (SELECT tid FROM submitted)
), matched AS (
  SELECT r.sock, r.recv_ts_ns, r.end_ts_ns, b.*
  FROM submitted AS b
  ASOF JOIN served AS r
    ON r.tid = b.tid AND r.recv_ts_ns <= b.submitted_ts_ns
)
SELECT
  sock,
  recv_ts_ns,
  dev,
  -- A cloud volume counts 256 KiB of one transfer as one I/O.
  sum(greatest(1, (bytes + 262143) // 262144))::BIGINT AS ios,
  sum(bytes)::BIGINT AS bytes,
  sum(service_ns)::BIGINT AS service_ns,
  coalesce(sum(greatest(1, (bytes + 262143) // 262144))
    FILTER (rwbs LIKE 'R%'), 0)::BIGINT AS reads,
  coalesce(sum(bytes) FILTER (rwbs LIKE 'R%'), 0)::BIGINT AS read_bytes,
  coalesce(sum(service_ns) FILTER (rwbs LIKE 'R%'), 0)::BIGINT AS read_ns
FROM matched
WHERE submitted_ts_ns <= end_ts_ns
GROUP BY ALL;

CREATE OR REPLACE VIEW ownerless_io AS
-- One row per awaited block I/O that a thread of the kernel submitted for somebody:
-- held back by a cgroup's limit, or of a file system's journal.
SELECT
  row_number() OVER (ORDER BY ts_ns, dev, sector) AS number,
  ts_ns,
  dev,
  pid,
  greatest(1, (bytes + 262143) // 262144) AS ios,
  bytes,
  coalesce(device_ns, 0) + coalesce(queue_ns, 0) AS service_ns,
  rwbs LIKE 'R%' AS is_read
FROM block_io
WHERE (comm LIKE 'kworker/%' OR comm LIKE 'jbd2/%' OR coalesce(comm, '') = '')
  AND bytes > 0
  AND (rwbs LIKE 'R%' OR rwbs LIKE '%S%');

CREATE OR REPLACE VIEW waiting_request AS
-- One row per request that waited for a disk without any I/O of its own, or for more than
-- twice as long as its own took: for what somebody else submitted.
WITH own AS (
  SELECT sock, recv_ts_ns, sum(service_ns) AS service_ns
  FROM submitted_io
  GROUP BY ALL
), bounds AS (
  -- No row where there is none: then the requests are not read.
  SELECT min(ts_ns) AS first_ts_ns, max(ts_ns) AS last_ts_ns
  FROM ownerless_io
  HAVING count(*) > 0
), waited AS (
  SELECT sock, recv_ts_ns, ts_ns + wall_ns AS end_ts_ns, disk_ns
  FROM request, bounds
  WHERE disk_ns > 0
    AND endpoint <> '(terminate)'
    AND ts_ns >= (SELECT started_ts_ns FROM capture)
    AND recv_ts_ns <= last_ts_ns
    AND ts_ns + wall_ns >= first_ts_ns
)
SELECT
  w.sock,
  w.recv_ts_ns,
  w.end_ts_ns,
  w.disk_ns - coalesce(o.service_ns, 0) AS left_ns,
  o.sock IS NULL AS without
FROM waited AS w
LEFT JOIN own AS o USING (sock, recv_ts_ns)
WHERE w.disk_ns > 2 * coalesce(o.service_ns, 0);

CREATE OR REPLACE VIEW awaited_io AS
-- One row per ownerless I/O and the request that it held up, of those without any of
-- their own. An answer goes out soon after the I/O that it waited for, so it takes the
-- latest that no answer took before. I/Os open and answers close, as brackets do: the
-- two of a pair are on one level.
WITH events AS (
  SELECT ts_ns AS at_ts_ns, 1 AS step, number, NULL AS sock, NULL AS recv_ts_ns
  FROM ownerless_io
  UNION ALL
  SELECT end_ts_ns, -1, NULL, sock, recv_ts_ns FROM waiting_request WHERE without
), levels AS (
  SELECT
    *,
    sum(step) OVER (
      ORDER BY at_ts_ns, step DESC, number, recv_ts_ns, sock ROWS UNBOUNDED PRECEDING
    ) AS level,
    row_number() OVER (ORDER BY at_ts_ns, step DESC, number, recv_ts_ns, sock) AS place
  FROM events
)
SELECT o.number, c.sock, c.recv_ts_ns
FROM (SELECT * FROM levels WHERE step = -1) AS c
ASOF JOIN (SELECT * FROM levels WHERE step = 1) AS o
  ON o.level = c.level + 1 AND o.place <= c.place
WHERE o.at_ts_ns >= c.recv_ts_ns;

CREATE OR REPLACE VIEW shared_io AS
-- One row per ownerless I/O that is left and the request it is given to: drawn from
-- those under way when it completed, by the waiting that is not explained yet.
WITH each AS (
  -- What an I/O is waited for on average.
  SELECT
    (SELECT sum(left_ns) FROM waiting_request) / nullif(count(*), 0) AS wait_ns
  FROM ownerless_io
), claims AS (
  SELECT
    w.sock, w.recv_ts_ns, w.end_ts_ns,
    w.left_ns - CASE WHEN a.number IS NULL THEN 0 ELSE each.wait_ns END AS claim_ns
  FROM waiting_request AS w
  LEFT JOIN awaited_io AS a USING (sock, recv_ts_ns), each
), candidates AS (
  SELECT
    io.number, c.sock, c.recv_ts_ns, c.claim_ns,
    sum(c.claim_ns) OVER upto AS upto_ns,
    sum(c.claim_ns) OVER (PARTITION BY io.number) AS all_ns
  FROM ownerless_io AS io
  JOIN claims AS c
    ON c.recv_ts_ns <= io.ts_ns AND c.end_ts_ns >= io.ts_ns AND c.claim_ns > 0
  WHERE io.number NOT IN (SELECT number FROM awaited_io)
  WINDOW upto AS (
    PARTITION BY io.number ORDER BY c.recv_ts_ns, c.sock ROWS UNBOUNDED PRECEDING
  )
)
SELECT number, sock, recv_ts_ns
FROM candidates
-- Multiples of the golden ratio fall evenly, and always alike.
WHERE (number * 0.6180339887498949) % 1 * all_ns >= upto_ns - claim_ns
  AND (number * 0.6180339887498949) % 1 * all_ns < upto_ns;

CREATE OR REPLACE VIEW given_io AS
-- One row per ownerless I/O that a request waited for.
FROM awaited_io
UNION ALL
FROM shared_io;

CREATE OR REPLACE VIEW request_io AS
-- One row per request and disk: the I/O that its thread submitted, and what it waited for.
WITH given AS (
  SELECT
    g.sock,
    g.recv_ts_ns,
    io.dev,
    sum(io.ios)::BIGINT AS ios,
    sum(io.bytes)::BIGINT AS bytes,
    sum(io.service_ns)::BIGINT AS service_ns,
    coalesce(sum(io.ios) FILTER (io.is_read), 0)::BIGINT AS reads,
    coalesce(sum(io.bytes) FILTER (io.is_read), 0)::BIGINT AS read_bytes,
    coalesce(sum(io.service_ns) FILTER (io.is_read), 0)::BIGINT AS read_ns,
    sum(io.ios)::BIGINT AS given_ios
  FROM given_io AS g
  JOIN ownerless_io AS io USING (number)
  GROUP BY ALL
)
SELECT
  sock,
  recv_ts_ns,
  dev,
  sum(ios)::BIGINT AS ios,
  sum(bytes)::BIGINT AS bytes,
  sum(service_ns)::BIGINT AS service_ns,
  sum(reads)::BIGINT AS reads,
  sum(read_bytes)::BIGINT AS read_bytes,
  sum(read_ns)::BIGINT AS read_ns,
  sum(given_ios)::BIGINT AS given_ios
FROM (SELECT *, 0 AS given_ios FROM submitted_io UNION ALL FROM given)
GROUP BY ALL;

COMMENT ON VIEW worked IS 'one row per request: who served it, and the CPU time it took';
COMMENT ON COLUMN worked.sock IS 'server-side socket';
COMMENT ON COLUMN worked.recv_ts_ns IS 'ns · first receive; with sock, the request';
COMMENT ON COLUMN worked.ts_ns IS 'ns · arrival of its first byte';
COMMENT ON COLUMN worked.wall_ns IS 'ns · arrival of the first byte to the last byte sent';
COMMENT ON COLUMN worked.pid IS 'process that served it';
COMMENT ON COLUMN worked.tid IS 'thread that received it';
COMMENT ON COLUMN worked.cpu_spent_ns IS
  'ns · CPU time of all its threads, after the answer too';
COMMENT ON VIEW submitted_io IS 'one row per request and disk: what its thread submitted';
COMMENT ON COLUMN submitted_io.sock IS 'server-side socket';
COMMENT ON COLUMN submitted_io.recv_ts_ns IS 'ns · first receive; with sock, the request';
COMMENT ON COLUMN submitted_io.dev IS 'kernel dev_t: major << 20 | minor';
COMMENT ON COLUMN submitted_io.ios IS 'I/Os · of at most 256 KiB, as volumes are billed';
COMMENT ON COLUMN submitted_io.bytes IS 'bytes · read and written';
COMMENT ON COLUMN submitted_io.service_ns IS 'ns · in the block layer and the device';
COMMENT ON COLUMN submitted_io.reads IS 'I/Os · of ios those that read';
COMMENT ON COLUMN submitted_io.read_bytes IS 'bytes · of bytes those read';
COMMENT ON COLUMN submitted_io.read_ns IS 'ns · of service_ns that of reads';
COMMENT ON VIEW ownerless_io IS 'one row per awaited block I/O that a kernel thread submitted';
COMMENT ON COLUMN ownerless_io.number IS 'place by time of completion, from 1';
COMMENT ON COLUMN ownerless_io.ts_ns IS 'ns · completion';
COMMENT ON COLUMN ownerless_io.dev IS 'kernel dev_t: major << 20 | minor';
COMMENT ON COLUMN ownerless_io.pid IS 'kernel thread, NULL where unknown';
COMMENT ON COLUMN ownerless_io.ios IS 'I/Os · of at most 256 KiB, as volumes are billed';
COMMENT ON COLUMN ownerless_io.bytes IS 'bytes · its size';
COMMENT ON COLUMN ownerless_io.service_ns IS 'ns · in the block layer and the device';
COMMENT ON COLUMN ownerless_io.is_read IS 'it read; false: it wrote';
COMMENT ON VIEW waiting_request IS
  'one row per request that waited for a disk I/O which it did not submit';
COMMENT ON COLUMN waiting_request.sock IS 'server-side socket';
COMMENT ON COLUMN waiting_request.recv_ts_ns IS 'ns · first receive; with sock, the request';
COMMENT ON COLUMN waiting_request.end_ts_ns IS 'ns · its last byte sent';
COMMENT ON COLUMN waiting_request.left_ns IS
  'ns · waiting for a disk that its own I/O does not explain';
COMMENT ON COLUMN waiting_request.without IS 'it submitted no I/O itself';
COMMENT ON VIEW awaited_io IS 'one row per ownerless I/O matched with the answer after it';
COMMENT ON COLUMN awaited_io.number IS 'ownerless_io.number';
COMMENT ON COLUMN awaited_io.sock IS 'server-side socket of the request that waited for it';
COMMENT ON COLUMN awaited_io.recv_ts_ns IS 'ns · first receive of that request';
COMMENT ON VIEW shared_io IS 'one row per ownerless I/O given by the waiting that is left';
COMMENT ON COLUMN shared_io.number IS 'ownerless_io.number';
COMMENT ON COLUMN shared_io.sock IS 'server-side socket of the request that gets it';
COMMENT ON COLUMN shared_io.recv_ts_ns IS 'ns · first receive of that request';
COMMENT ON VIEW given_io IS 'one row per ownerless I/O that a request waited for: inferred';
COMMENT ON COLUMN given_io.number IS 'ownerless_io.number';
COMMENT ON COLUMN given_io.sock IS 'server-side socket of the request that waited for it';
COMMENT ON COLUMN given_io.recv_ts_ns IS 'ns · first receive of that request';
COMMENT ON VIEW request_io IS 'one row per request and disk: what it submitted or waited for';
COMMENT ON COLUMN request_io.sock IS 'server-side socket';
COMMENT ON COLUMN request_io.recv_ts_ns IS 'ns · first receive; with sock, the request';
COMMENT ON COLUMN request_io.dev IS 'kernel dev_t: major << 20 | minor';
COMMENT ON COLUMN request_io.ios IS 'I/Os · of at most 256 KiB, as volumes are billed';
COMMENT ON COLUMN request_io.bytes IS 'bytes · read and written';
COMMENT ON COLUMN request_io.service_ns IS 'ns · in the block layer and the device';
COMMENT ON COLUMN request_io.reads IS 'I/Os · of ios those that read';
COMMENT ON COLUMN request_io.read_bytes IS 'bytes · of bytes those read';
COMMENT ON COLUMN request_io.read_ns IS 'ns · of service_ns that of reads';
COMMENT ON COLUMN request_io.given_ios IS
  'I/Os · of ios those that a kernel thread submitted: by who waited, inferred';
