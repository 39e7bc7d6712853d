-- requests   The ledger of every request: exclusive parts that sum to its wall time.
--
-- Needs: capture, request, connection, process_service, edge, waits, calls

CREATE OR REPLACE VIEW owner AS
-- One row per request that made calls: what it waited for, and how that fits.
WITH able AS (
  SELECT
    sock,
    recv_ts_ns,
    ts_ns + wall_ns AS end_ts_ns,
    -- Threads that work side by side measure more than the wall time.
    (covered_ns - answer_queue_ns)
      * least(1, wall_ns / nullif(
        recv_ts_ns - ts_ns + cpu_ns + runq_ns + disk_ns + lock_ns + sleep_ns
          + other_ns + covered_ns, 0)::DOUBLE) AS covered_ns
  FROM request
  WHERE endpoint <> '(terminate)'
    AND ts_ns >= (SELECT started_ts_ns FROM capture)
), made AS (
  SELECT
    r.*,
    w.sole,
    -- What is called after the answer, nobody waits for.
    CASE WHEN w.ts_ns <= r.end_ts_ns THEN w.wait_ns ELSE 0 END AS wait_ns,
    coalesce(w.callee_wall_ns, w.wait_ns) AS callee_ns
  FROM waits AS w
  JOIN able AS r
    ON r.sock = w.owner_sock AND r.recv_ts_ns = w.owner_recv_ts_ns
), summed AS (
  SELECT sock, recv_ts_ns, end_ts_ns, covered_ns, wait_ns,
    least(callee_ns, wait_ns) AS callee_ns
  FROM made
  WHERE sole
  UNION ALL
  SELECT sock, recv_ts_ns, end_ts_ns, covered_ns, sum(wait_ns)::BIGINT,
    sum(least(callee_ns, wait_ns))::BIGINT
  FROM made
  WHERE NOT sole
  GROUP BY sock, recv_ts_ns, end_ts_ns, covered_ns
), waited AS (
  SELECT
    sock,
    recv_ts_ns,
    end_ts_ns,
    -- What was waited for, spread over the calls that were waited for.
    coalesce(covered_ns / nullif(wait_ns, 0), 0) AS wait_scale,
    -- Whole nanoseconds, as all parts: rounded up they would be more than the wall time.
    CASE WHEN wait_ns > 0 THEN floor(covered_ns)::BIGINT ELSE 0 END AS waited_ns,
    callee_ns
  FROM summed
)
SELECT
  sock,
  recv_ts_ns,
  end_ts_ns,
  wait_scale,
  least(floor(wait_scale * callee_ns)::BIGINT, waited_ns) AS downstream_ns,
  waited_ns - least(floor(wait_scale * callee_ns)::BIGINT, waited_ns) AS net_ns
FROM waited;

CREATE OR REPLACE VIEW parent AS
-- One row per request that a traced request called.
SELECT
  e.request_sock AS sock,
  e.request_recv_ts_ns AS recv_ts_ns,
  c.owner_sock AS parent_sock,
  c.owner_recv_ts_ns AS parent_recv_ts_ns,
  -- The share of it that its caller waited for and had nothing else to show for.
  CASE
    WHEN c.ts_ns > o.end_ts_ns THEN 0
    ELSE coalesce(
      o.wait_scale * least(1.0, c.wait_ns / nullif(c.callee_wall_ns, 0)::DOUBLE),
      1.0
    )
  END AS waited_share,
  e.grade
FROM edge AS e
JOIN waits AS c ON c.sock = e.call_sock AND c.ts_ns = e.call_ts_ns
JOIN owner AS o
  ON o.sock = c.owner_sock AND o.recv_ts_ns = c.owner_recv_ts_ns;

CREATE OR REPLACE VIEW requests AS
-- One row per request.
WITH measured AS (
  SELECT
    *,
    least(1, wall_ns / nullif(
      recv_ts_ns - ts_ns + cpu_ns + runq_ns + disk_ns + lock_ns + sleep_ns
        + other_ns + covered_ns, 0)::DOUBLE) AS fit
  FROM request
  WHERE endpoint <> '(terminate)'
    -- Before that, not every probe was in place.
    AND ts_ns >= (SELECT started_ts_ns FROM capture)
), fitted AS (
  SELECT
    * EXCLUDE (cpu_ns, runq_ns, disk_ns, lock_ns, sleep_ns, other_ns),
    cpu_ns + after_cpu_ns AS cpu_spent_ns,
    floor(cpu_ns * fit)::BIGINT AS cpu_ns,
    floor(runq_ns * fit)::BIGINT AS runq_ns,
    floor(disk_ns * fit)::BIGINT AS disk_ns,
    floor(lock_ns * fit)::BIGINT AS lock_ns,
    floor(sleep_ns * fit)::BIGINT AS sleep_ns,
    floor(other_ns * fit)::BIGINT AS other_ns,
    floor((recv_ts_ns - ts_ns + answer_queue_ns) * fit)::BIGINT AS queue_ns
  FROM measured
)
SELECT
  n.sock,
  n.recv_ts_ns,
  n.ts_ns,
  p.parent_sock,
  p.parent_recv_ts_ns,
  n.pid,
  n.tid,
  s.service,
  CASE
    WHEN s.layer <> 'proxy' THEN s.layer
    WHEN p.parent_sock IS NULL THEN 'gateway'
    ELSE 'sidecar'
  END AS layer,
  endpoint_name(n.endpoint, n.statement) AS endpoint,
  n.protocol,
  n.wall_ns,
  n.cpu_ns,
  n.runq_ns,
  n.disk_ns,
  n.lock_ns,
  n.sleep_ns,
  n.queue_ns,
  coalesce(o.net_ns, 0) AS net_ns,
  coalesce(o.downstream_ns, 0) AS downstream_ns,
  n.other_ns,
  n.wall_ns - n.cpu_ns - n.runq_ns - n.disk_ns - n.lock_ns - n.sleep_ns
    - n.queue_ns - coalesce(o.net_ns, 0) - coalesce(o.downstream_ns, 0)
    - n.other_ns AS unexplained_ns,
  n.cpu_spent_ns,
  coalesce(p.waited_share, 1) AS waited_share,
  n.other_syscall,
  n.calls,
  n.handovers,
  n.recv_bytes,
  n.send_bytes,
  n.status,
  n.error,
  coalesce(p.grade, 'root') AS grade,
  n.complete
FROM fitted AS n
LEFT JOIN owner AS o USING (sock, recv_ts_ns)
LEFT JOIN parent AS p USING (sock, recv_ts_ns)
LEFT JOIN process_service AS s USING (pid);

COMMENT ON VIEW owner IS 'one row per request that made calls';
COMMENT ON COLUMN owner.sock IS 'server-side socket';
COMMENT ON COLUMN owner.recv_ts_ns IS 'ns · first receive; with sock, the request';
COMMENT ON COLUMN owner.end_ts_ns IS 'ns · its last byte sent';
COMMENT ON COLUMN owner.wait_scale IS
  '0..1 · share of waits.wait_ns that fits into the wall time';
COMMENT ON COLUMN owner.downstream_ns IS 'ns · in calls, accounted for at the other end';
COMMENT ON COLUMN owner.net_ns IS 'ns · calls less the requests they became';
COMMENT ON VIEW parent IS 'one row per request that a traced request called';
COMMENT ON COLUMN parent.sock IS 'server-side socket';
COMMENT ON COLUMN parent.recv_ts_ns IS 'ns · first receive; with sock, the request';
COMMENT ON COLUMN parent.parent_sock IS 'server-side socket of the calling request';
COMMENT ON COLUMN parent.parent_recv_ts_ns IS 'ns · first receive of the calling request';
COMMENT ON COLUMN parent.waited_share IS '0..1 · share of it that its caller waited for';
COMMENT ON COLUMN parent.grade IS 'how the caller was found: exact, matched, inherited';
COMMENT ON VIEW requests IS 'one row per request; its parts sum to wall_ns exactly';
COMMENT ON COLUMN requests.sock IS 'server-side socket';
COMMENT ON COLUMN requests.recv_ts_ns IS 'ns · first receive; with sock, its name';
COMMENT ON COLUMN requests.ts_ns IS 'ns · arrival of its first byte';
COMMENT ON COLUMN requests.parent_sock IS 'the calling request, NULL for a root';
COMMENT ON COLUMN requests.parent_recv_ts_ns IS 'ns · the calling request, NULL for a root';
COMMENT ON COLUMN requests.pid IS 'process that served it';
COMMENT ON COLUMN requests.tid IS 'thread that received it';
COMMENT ON COLUMN requests.service IS 'the program, or the script that an interpreter runs';
COMMENT ON COLUMN requests.layer IS 'gateway, sidecar, app, database, cache, messaging';
COMMENT ON COLUMN requests.endpoint IS 'normalised request line or statement';
COMMENT ON COLUMN requests.protocol IS 'http, postgresql, redis, or empty';
COMMENT ON COLUMN requests.wall_ns IS 'ns · arrival of the first byte to the last byte sent';
COMMENT ON COLUMN requests.cpu_ns IS 'ns · on a CPU for this request, within its wall time';
COMMENT ON COLUMN requests.runq_ns IS 'ns · runnable, waiting for a CPU';
COMMENT ON COLUMN requests.disk_ns IS 'ns · off CPU for a disk';
COMMENT ON COLUMN requests.lock_ns IS 'ns · off CPU for a lock';
COMMENT ON COLUMN requests.sleep_ns IS 'ns · asleep by its own wish';
COMMENT ON COLUMN requests.queue_ns IS 'ns · bytes had arrived and were not yet worked on';
COMMENT ON COLUMN requests.net_ns IS
  'ns · calls less the requests they became';
COMMENT ON COLUMN requests.downstream_ns IS 'ns · in calls: shown in the ledger of the callee, or as untraced';
COMMENT ON COLUMN requests.other_ns IS 'ns · off CPU for another reason';
COMMENT ON COLUMN requests.unexplained_ns IS 'ns · what is left';
COMMENT ON COLUMN requests.cpu_spent_ns IS
  'ns · CPU time of all its threads, after the answer too';
COMMENT ON COLUMN requests.waited_share IS '0..1 · share of it that its caller waited for';
COMMENT ON COLUMN requests.other_syscall IS 'system call of the last other wait, -1 for none';
COMMENT ON COLUMN requests.calls IS 'calls · made by it';
COMMENT ON COLUMN requests.handovers IS 'events · moves to another thread';
COMMENT ON COLUMN requests.recv_bytes IS 'bytes · received';
COMMENT ON COLUMN requests.send_bytes IS 'bytes · sent';
COMMENT ON COLUMN requests.status IS 'HTTP status, 0 where unknown';
COMMENT ON COLUMN requests.error IS 'the answer says that it failed';
COMMENT ON COLUMN requests.grade IS 'root, or how the caller was found: exact, matched, inherited';
COMMENT ON COLUMN requests.complete IS 'false: not answered before its connection or the capture ended';
