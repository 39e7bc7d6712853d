-- demand   What every transaction asks of CPUs and disks: the input of a what-if.
--
-- Needs: request, requests, placed

CREATE OR REPLACE VIEW root_demand AS
-- One row per complete root: the ledgers of its transaction, as far as it waited for them.
SELECT
  root_sock AS sock,
  root_recv_ts_ns AS recv_ts_ns,
  sum(cpu_ns * critical_share)::BIGINT AS cpu_ns,
  sum((runq_ns + queue_ns) * critical_share)::BIGINT AS runq_ns,
  sum(disk_ns * critical_share)::BIGINT AS disk_ns,
  sum(cpu_spent_ns)::BIGINT AS cpu_spent_ns,
  coalesce(sum(cpu_spent_ns) FILTER (layer = 'database'), 0)::BIGINT
    AS database_cpu_ns
FROM placed
GROUP BY root_sock, root_recv_ts_ns;

CREATE OR REPLACE VIEW root_cycle AS
-- One row per complete root: when its caller sent it, and how long after the last answer.
SELECT
  q.sock,
  q.recv_ts_ns,
  q.ts_ns,
  q.wall_ns,
  q.endpoint,
  r.conn_ts_ns,
  q.ts_ns - lag(q.ts_ns + q.wall_ns) OVER (
    PARTITION BY q.sock, r.conn_ts_ns ORDER BY q.recv_ts_ns
  ) AS think_ns
FROM requests AS q
JOIN request AS r USING (sock, recv_ts_ns)
WHERE q.parent_sock IS NULL AND q.complete;

COMMENT ON VIEW root_demand IS 'one row per root: what its whole transaction asked for';
COMMENT ON COLUMN root_demand.sock IS 'server-side socket of the root';
COMMENT ON COLUMN root_demand.recv_ts_ns IS 'ns · first receive of the root; with sock, its name';
COMMENT ON COLUMN root_demand.cpu_ns IS 'ns · on a CPU, in the way of the answer';
COMMENT ON COLUMN root_demand.runq_ns IS
  'ns · waiting for a CPU or a busy thread, in the way of the answer';
COMMENT ON COLUMN root_demand.disk_ns IS 'ns · waiting for a disk, in the way of the answer';
COMMENT ON COLUMN root_demand.cpu_spent_ns IS
  'ns · CPU time of all, beside and after the answer too';
COMMENT ON COLUMN root_demand.database_cpu_ns IS 'ns · part of cpu_spent_ns: of the database layer';
COMMENT ON VIEW root_cycle IS 'one row per complete root: its place among its caller''s';
COMMENT ON COLUMN root_cycle.sock IS 'server-side socket';
COMMENT ON COLUMN root_cycle.recv_ts_ns IS 'ns · first receive; with sock, its name';
COMMENT ON COLUMN root_cycle.ts_ns IS 'ns · arrival of its first byte';
COMMENT ON COLUMN root_cycle.wall_ns IS 'ns · arrival of the first byte to the last byte sent';
COMMENT ON COLUMN root_cycle.endpoint IS 'normalised request line or statement';
COMMENT ON COLUMN root_cycle.conn_ts_ns IS 'ns · first sight of the socket; with sock, the connection';
COMMENT ON COLUMN root_cycle.think_ns IS
  'ns · since the answer to the connection''s previous request, NULL for its first';
