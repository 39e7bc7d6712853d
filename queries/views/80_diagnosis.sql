-- diagnosis   What the time of all transactions went to.
--
-- Needs: placed, untraced, roots

CREATE OR REPLACE MACRO figure(name, value, unit) AS
{'name': name, 'value': value::DOUBLE, 'unit': unit};

CREATE OR REPLACE MACRO scaled(ns) AS
-- Of a sample of the transactions to all of them.
ns / coalesce(getvariable('sampled_share'), 1.0);

CREATE OR REPLACE VIEW spent AS
-- One row per request of a complete transaction, and per untraced call of one.
SELECT
  r.root_sock,
  r.root_recv_ts_ns,
  r.sock,
  r.recv_ts_ns,
  r.ts_ns,
  r.ts_ns + r.wall_ns AS end_ts_ns,
  r.pid,
  r.tid,
  r.layer,
  r.service,
  r.endpoint,
  r.other_syscall,
  r.critical_share AS share,
  r.cpu_ns,
  r.runq_ns,
  r.disk_ns,
  r.lock_ns,
  r.sleep_ns,
  r.queue_ns,
  r.net_ns,
  r.other_ns,
  0 AS untraced_ns,
  r.unexplained_ns
FROM placed AS r
WHERE r.root_complete
UNION ALL
SELECT
  t.root_sock, t.root_recv_ts_ns, NULL, NULL, u.ts_ns, u.ts_ns + u.wait_ns,
  NULL, NULL, u.layer, u.service, u.endpoint, -1, t.critical_share,
  0, 0, 0, 0, 0, 0, 0, 0, u.wait_ns, 0
FROM placed AS t
JOIN untraced AS u
  ON u.parent_sock = t.sock AND u.parent_recv_ts_ns = t.recv_ts_ns
WHERE t.root_complete;

CREATE OR REPLACE VIEW spent_part AS
-- One row per layer, service and part of the ledger that took time.
WITH line AS (
  SELECT
    root_sock,
    root_recv_ts_ns,
    layer,
    service,
    sum(share * cpu_ns) AS cpu,
    sum(share * runq_ns) AS runq,
    sum(share * disk_ns) AS disk,
    sum(share * lock_ns) AS lock,
    sum(share * sleep_ns) AS sleep,
    sum(share * queue_ns) AS queue,
    sum(share * net_ns) AS net,
    sum(share * other_ns) AS other,
    sum(share * untraced_ns) AS untraced,
    sum(share * unexplained_ns) AS unexplained
  FROM spent
  GROUP BY ALL
), taken AS (
  UNPIVOT line
  ON cpu, runq, disk, lock, sleep, queue, net, other, untraced, unexplained
  INTO NAME part VALUE ns
)
SELECT
  layer,
  service,
  part,
  sum(ns)::BIGINT AS explained_ns,
  (sum(ns * ns) / sum(ns))::BIGINT AS typical_ns,
  count(*) AS transactions
FROM taken
WHERE ns > 0
GROUP BY ALL;

CREATE OR REPLACE VIEW spent_total AS
-- One row.
SELECT
  count(*) AS transactions,
  coalesce(sum(wall_ns), 0)::BIGINT AS wall_ns,
  quantile_cont(wall_ns, 0.5) AS p50_ns,
  quantile_cont(wall_ns, 0.99) AS p99_ns
FROM roots
WHERE complete;

COMMENT ON VIEW spent IS 'one row per request of a complete transaction, and per untraced call of one';
COMMENT ON COLUMN spent.root_sock IS 'server-side socket of the root';
COMMENT ON COLUMN spent.root_recv_ts_ns IS 'ns · first receive of the root; with root_sock, its name';
COMMENT ON COLUMN spent.sock IS 'server-side socket, NULL for an untraced call';
COMMENT ON COLUMN spent.recv_ts_ns IS 'ns · first receive; with sock, the request';
COMMENT ON COLUMN spent.ts_ns IS 'ns · arrival of its first byte; untraced: first send';
COMMENT ON COLUMN spent.end_ts_ns IS 'ns · its last byte sent';
COMMENT ON COLUMN spent.pid IS 'process that served it';
COMMENT ON COLUMN spent.tid IS 'thread that received it';
COMMENT ON COLUMN spent.layer IS 'gateway, sidecar, app, database, cache, messaging';
COMMENT ON COLUMN spent.service IS 'the program, the script, or the address called';
COMMENT ON COLUMN spent.endpoint IS 'normalised request line or statement';
COMMENT ON COLUMN spent.other_syscall IS 'system call of the last other wait, -1 for none';
COMMENT ON COLUMN spent.share IS '0..1 · share of its parts that is part of the root''s wall time';
COMMENT ON COLUMN spent.cpu_ns IS 'ns · on a CPU';
COMMENT ON COLUMN spent.runq_ns IS 'ns · runnable, waiting for a CPU';
COMMENT ON COLUMN spent.disk_ns IS 'ns · off CPU for a disk';
COMMENT ON COLUMN spent.lock_ns IS 'ns · off CPU for a lock';
COMMENT ON COLUMN spent.sleep_ns IS 'ns · asleep by its own wish';
COMMENT ON COLUMN spent.queue_ns IS 'ns · bytes had arrived and were not yet worked on';
COMMENT ON COLUMN spent.net_ns IS 'ns · calls less the requests they became';
COMMENT ON COLUMN spent.other_ns IS 'ns · off CPU for another reason';
COMMENT ON COLUMN spent.untraced_ns IS 'ns · waited for a server that was not traced';
COMMENT ON COLUMN spent.unexplained_ns IS 'ns · what is left';
COMMENT ON VIEW spent_part IS 'one row per layer, service and part: what it took of all transactions';
COMMENT ON COLUMN spent_part.layer IS 'gateway, sidecar, app, database, cache, messaging';
COMMENT ON COLUMN spent_part.service IS 'the program, the script, or the address called';
COMMENT ON COLUMN spent_part.part IS 'cpu, runq, disk, lock, sleep, queue, net, other, untraced, unexplained';
COMMENT ON COLUMN spent_part.explained_ns IS 'ns · of the transactions'' wall time; all rows sum to it';
COMMENT ON COLUMN spent_part.typical_ns IS
  'ns · of a transaction that has it: the mean, weighted by the part itself';
COMMENT ON COLUMN spent_part.transactions IS 'transactions · that have any of it';
COMMENT ON VIEW spent_total IS 'one row: the complete transactions';
COMMENT ON COLUMN spent_total.transactions IS 'transactions · complete';
COMMENT ON COLUMN spent_total.wall_ns IS 'ns · their wall time';
COMMENT ON COLUMN spent_total.p50_ns IS 'ns · median of it, NULL without any';
COMMENT ON COLUMN spent_total.p99_ns IS 'ns · 99th percentile, NULL without any';
