-- calls   Give every call its owner, its callee and the time it was waited for.
--
-- Needs: call, request, flow, edge

CREATE OR REPLACE VIEW waits AS
-- One row per call that a request made: what the ledger needs of it, and no more.
WITH callee AS (
  SELECT call_sock, call_ts_ns, sum(request_wall_ns)::BIGINT AS callee_wall_ns
  FROM edge
  GROUP BY call_sock, call_ts_ns
), several AS (
  SELECT owner_sock, owner_recv_ts_ns
  FROM call
  WHERE endpoint <> '(terminate)'
  GROUP BY owner_sock, owner_recv_ts_ns
  HAVING count(*) > 1
), later AS (
  -- Time that several calls cover counts for the one that finishes last.
  SELECT
    sock,
    ts_ns,
    min(ts_ns) OVER (
      PARTITION BY owner_sock, owner_recv_ts_ns
      ORDER BY ts_ns + wall_ns DESC, ts_ns DESC, sock
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS later_ts_ns
  FROM call
  JOIN several USING (owner_sock, owner_recv_ts_ns)
  WHERE endpoint <> '(terminate)'
), alone AS (
  SELECT
    c.sock,
    c.ts_ns,
    c.owner_sock,
    c.owner_recv_ts_ns,
    c.wall_ns,
    greatest(0, least(c.wall_ns, coalesce(l.later_ts_ns - c.ts_ns, c.wall_ns)))
      AS alone_ns,
    greatest(0, c.wall_ns - c.busy_ns - c.answer_queue_ns) AS idle_ns,
    l.sock IS NULL AS sole,
    link_grade(c.inherited, f.family) AS grade
  FROM call AS c
  JOIN flow AS f USING (sock, conn_ts_ns)
  LEFT JOIN later AS l USING (sock, ts_ns)
  -- A good-bye is not waited for, and the server does not answer it.
  WHERE c.endpoint <> '(terminate)'
)
SELECT
  a.sock,
  a.ts_ns,
  a.owner_sock,
  a.owner_recv_ts_ns,
  a.sole,
  CASE
    WHEN a.alone_ns = a.wall_ns OR a.wall_ns = 0 THEN a.idle_ns
    ELSE (a.idle_ns::DOUBLE * a.alone_ns / a.wall_ns)::BIGINT
  END AS wait_ns,
  k.callee_wall_ns,
  CASE WHEN k.call_sock IS NULL THEN 'untraced' ELSE a.grade END AS grade
FROM alone AS a
LEFT JOIN callee AS k ON k.call_sock = a.sock AND k.call_ts_ns = a.ts_ns;

CREATE OR REPLACE VIEW calls AS
-- One row per call that a request made.
SELECT
  c.sock,
  c.ts_ns,
  c.owner_sock,
  c.owner_recv_ts_ns,
  c.pid,
  f.server_addr,
  f.server_port,
  c.wall_ns,
  c.answer_queue_ns,
  w.wait_ns,
  w.callee_wall_ns,
  c.send_bytes,
  c.recv_bytes,
  c.protocol,
  c.endpoint,
  w.grade,
  c.complete
FROM call AS c
JOIN flow AS f USING (sock, conn_ts_ns)
JOIN waits AS w USING (sock, ts_ns);

COMMENT ON VIEW waits IS 'one row per call that a request made: what the ledger needs of it';
COMMENT ON COLUMN waits.sock IS 'client-side socket';
COMMENT ON COLUMN waits.ts_ns IS 'ns · first send';
COMMENT ON COLUMN waits.owner_sock IS 'server-side socket of the request that made it';
COMMENT ON COLUMN waits.owner_recv_ts_ns IS 'ns · first receive of that request';
COMMENT ON COLUMN waits.sole IS 'its request made no other call';
COMMENT ON COLUMN waits.wait_ns IS
  'ns · waited for this call and no later one, while nothing else was measured';
COMMENT ON COLUMN waits.callee_wall_ns IS
  'ns · wall time of the request it became, NULL where untraced';
COMMENT ON COLUMN waits.grade IS 'exact, matched, inherited (see edge), or untraced';
COMMENT ON VIEW calls IS 'one row per call that a request made';
COMMENT ON COLUMN calls.sock IS 'client-side socket';
COMMENT ON COLUMN calls.ts_ns IS 'ns · first send';
COMMENT ON COLUMN calls.owner_sock IS 'server-side socket of the request that made it';
COMMENT ON COLUMN calls.owner_recv_ts_ns IS 'ns · first receive of that request';
COMMENT ON COLUMN calls.pid IS 'calling process';
COMMENT ON COLUMN calls.server_addr IS 'address called';
COMMENT ON COLUMN calls.server_port IS 'port called, 0 for Unix sockets';
COMMENT ON COLUMN calls.wall_ns IS 'ns · first send to last receive';
COMMENT ON COLUMN calls.answer_queue_ns IS 'ns · the answer had arrived, was not yet read';
COMMENT ON COLUMN calls.wait_ns IS
  'ns · waited for this call and no later one, while nothing else was measured';
COMMENT ON COLUMN calls.callee_wall_ns IS
  'ns · wall time of the request it became, NULL where untraced';
COMMENT ON COLUMN calls.send_bytes IS 'bytes · sent';
COMMENT ON COLUMN calls.recv_bytes IS 'bytes · received';
COMMENT ON COLUMN calls.protocol IS 'http, postgresql, redis, or empty';
COMMENT ON COLUMN calls.endpoint IS 'normalised request line or statement';
COMMENT ON COLUMN calls.grade IS 'exact, matched, inherited (see edge), or untraced';
COMMENT ON COLUMN calls.complete IS 'false: no answer when the capture ended';
