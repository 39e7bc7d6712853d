-- edges   Match calls to the requests that they became in another process.
--
-- Needs: connection, request, call

CREATE OR REPLACE VIEW flow AS
-- One row per socket end; both ends of a connection have the same `flow`.
SELECT
  sock,
  ts_ns AS conn_ts_ns,
  accepted,
  family,
  pid,
  CASE WHEN accepted THEN local_port ELSE remote_port END AS server_port,
  CASE
    WHEN family = 1 THEN 'unix socket'
    ELSE replace(CASE WHEN accepted THEN local_addr ELSE remote_addr END, '::ffff:', '')
  END AS server_addr,
  CASE
    WHEN family = 1 THEN hash(CASE WHEN accepted THEN sock ELSE peer_sock END)
    WHEN accepted THEN hash(
      replace(remote_addr, '::ffff:', ''), remote_port,
      replace(local_addr, '::ffff:', ''), local_port
    )
    ELSE hash(
      replace(local_addr, '::ffff:', ''), local_port,
      replace(remote_addr, '::ffff:', ''), remote_port
    )
  END AS flow
FROM connection;

CREATE OR REPLACE MACRO link_grade(inherited, family) AS
CASE WHEN inherited THEN 'inherited' WHEN family = 1 THEN 'exact' ELSE 'matched' END;

CREATE OR REPLACE VIEW edge AS
-- One row per request that a traced call became. A request's first receive lies
-- after the answer to the connection's previous call and before the answer to
-- its own: both clocks are read after the bytes moved, so nothing can overtake.
WITH served AS NOT MATERIALIZED (
  SELECT r.sock, r.recv_ts_ns, r.wall_ns, r.ts_ns + r.wall_ns AS end_ts_ns, f.flow
  FROM request AS r
  JOIN flow AS f USING (sock, conn_ts_ns)
  WHERE f.flow IN (SELECT flow FROM flow WHERE NOT accepted)
), called AS (
  SELECT
    c.sock, c.ts_ns, c.ts_ns + c.wall_ns AS end_ts_ns, f.flow,
    c.owner_sock, c.owner_recv_ts_ns, c.inherited, f.family,
    c.endpoint = '(terminate)' AS good_bye
  FROM call AS c
  JOIN flow AS f USING (sock, conn_ts_ns)
), near AS MATERIALIZED (
  SELECT
    c.sock AS call_sock, c.ts_ns AS call_ts_ns, c.owner_sock, c.owner_recv_ts_ns,
    s.sock AS request_sock, s.recv_ts_ns AS request_recv_ts_ns,
    s.wall_ns AS request_wall_ns,
    link_grade(c.inherited, c.family) AS grade,
    s.flow, c.end_ts_ns AS call_end_ts_ns, c.ts_ns > s.end_ts_ns AS late
  FROM served AS s
  ASOF JOIN called AS c ON s.flow = c.flow AND s.recv_ts_ns <= c.end_ts_ns
  WHERE c.ts_ns < s.end_ts_ns + 100_000_000
    -- A good-bye is not waited for, and the server does not answer it.
    AND NOT c.good_bye
), late AS (
  -- A caller that loses its CPU between the sending and the clock has a start behind its
  -- request's end, by some scheduling slices: the call is that request's if it has its
  -- name, and none came after it.
  SELECT n.*
  FROM call AS c
  JOIN (
    SELECT n.*, r.endpoint
    FROM request AS r
    JOIN (FROM near WHERE late) AS n
      ON n.request_sock = r.sock AND n.request_recv_ts_ns = r.recv_ts_ns
  ) AS n
    ON n.call_sock = c.sock AND n.call_ts_ns = c.ts_ns AND n.endpoint = c.endpoint
), overtaken AS (
  SELECT n.request_sock, n.request_recv_ts_ns
  FROM served AS s
  JOIN late AS n
    ON n.flow = s.flow
      AND s.recv_ts_ns > n.request_recv_ts_ns AND s.recv_ts_ns <= n.call_end_ts_ns
), kept AS (
  FROM near
  WHERE NOT late
  UNION ALL
  SELECT n.* EXCLUDE (endpoint)
  FROM late AS n
  ANTI JOIN overtaken AS o
    ON o.request_sock = n.request_sock AND o.request_recv_ts_ns = n.request_recv_ts_ns
)
SELECT * EXCLUDE (flow, call_end_ts_ns, late)
FROM kept;

COMMENT ON VIEW flow IS 'one row per socket end, with the flow that both ends share';
COMMENT ON COLUMN flow.sock IS 'kernel address of the socket';
COMMENT ON COLUMN flow.conn_ts_ns IS 'ns · first sight of it; with sock, its name';
COMMENT ON COLUMN flow.accepted IS 'true at the server''s end';
COMMENT ON COLUMN flow.family IS '1 Unix, 2 IPv4, 10 IPv6';
COMMENT ON COLUMN flow.pid IS 'process that first used it';
COMMENT ON COLUMN flow.server_port IS 'port of the server, 0 for Unix sockets';
COMMENT ON COLUMN flow.server_addr IS 'address of the server';
COMMENT ON COLUMN flow.flow IS 'the same number at both ends of a connection';
COMMENT ON VIEW edge IS 'one row per request that a traced call became';
COMMENT ON COLUMN edge.call_sock IS 'client-side socket of the call';
COMMENT ON COLUMN edge.call_ts_ns IS 'ns · start of the call; with call_sock, its name';
COMMENT ON COLUMN edge.owner_sock IS 'server-side socket of the request that made the call';
COMMENT ON COLUMN edge.owner_recv_ts_ns IS
  'ns · first receive of that request; with owner_sock, its name';
COMMENT ON COLUMN edge.request_sock IS 'server-side socket of the request';
COMMENT ON COLUMN edge.request_recv_ts_ns IS
  'ns · first receive of the request; with request_sock, its name';
COMMENT ON COLUMN edge.request_wall_ns IS 'ns · wall time of the request';
COMMENT ON COLUMN edge.grade IS
  'exact: Unix socket''s peer; matched: four-tuple and time; inherited: and the caller came by a wake-up';
