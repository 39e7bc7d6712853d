-- database_lock   Statements wait for another session, as for a row's lock.
--
-- Version:   1
-- Title:     {service} waits for another session, as for a lock, in {object}
-- Resource:  lock
-- Threshold: 5 % of all requests' time: below, it is not what makes them slow
-- Unit:      share
-- Needs:     request
-- Refines:   other_wait
-- Certainty: 0.85
-- Evidence:  stackledger query slowest
-- Next:      while it lasts, ask PostgreSQL who holds it: SELECT pid,
--            pg_blocking_pids(pid), wait_event, query FROM pg_stat_activity
--            WHERE wait_event_type = 'Lock'; afterwards log_lock_waits = on.
--            pg_sleep and synchronous replication wait in the same way
-- Cost:      one pass over the requests of transactions
WITH waited AS (
  SELECT
    layer,
    service,
    root_sock,
    root_recv_ts_ns,
    sum(share * other_ns) AS ns,
    arg_max(endpoint, share * other_ns) AS statement
  FROM spent
  -- A session that waits for another polls its latch in the middle of a
  -- statement: poll, epoll_wait, ppoll, epoll_pwait on x86-64, the last two on
  -- arm64.
  WHERE layer = 'database' AND other_ns > 0
    AND other_syscall IN (7, 232, 271, 281, 22, 73)
  GROUP BY layer, service, root_sock, root_recv_ts_ns
), found AS (
  SELECT
    layer,
    service,
    sum(ns)::BIGINT AS explained_ns,
    (sum(ns * ns) / sum(ns))::BIGINT AS typical_ns,
    count(*) AS transactions,
    arg_max(statement, ns) AS statement
  FROM waited
  WHERE ns > 0
  GROUP BY layer, service
)
SELECT
  f.layer,
  f.service,
  f.statement AS object,
  f.explained_ns,
  f.typical_ns,
  NULL AS severity,
  f.explained_ns / nullif(t.wall_ns, 0) AS measured,
  0.05 AS threshold,
  [figure('requests that have it', f.transactions, 'requests')] AS evidence,
  []::VARCHAR[] AS doubts
FROM found AS f, spent_total AS t
ORDER BY f.explained_ns DESC, f.layer, f.service
