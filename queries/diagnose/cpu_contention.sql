-- cpu_contention   Requests wait for CPUs that something keeps busy.
--
-- Version:   1
-- Title:     requests wait for CPUs that {object} keeps busy
-- Resource:  runq
-- Threshold: the CPUs are busy for 80 % of the time: from there on queues grow
--            quickly
-- Unit:      share
-- Needs:     request, process_stat, host_cpu
-- Refines:   cpu_wait, queue_wait
-- Certainty: 0.95
-- Patience:  1
-- Evidence:  stackledger query pidstat
-- Next:      move {object} away, or give it a lower weight (nice, cpu.weight);
--            if it is the service itself, more CPUs or less work: stackledger
--            whatif --cpus
-- Cost:      one pass over process_stat
WITH busy AS (
  SELECT
    sum(user_ns + system_ns + steal_ns)
      / nullif(
        sum(user_ns + system_ns + iowait_ns + steal_ns + idle_ns), 0
      ) AS share,
    avg(running) AS running
  FROM host_cpu
), scheduled AS (
  SELECT pid, sum(runq_ns) AS runq_ns FROM process_stat GROUP BY pid
), own AS (
  SELECT pid, scaled(sum(runq_ns)) AS runq_ns, scaled(sum(queue_ns)) AS queue_ns
  FROM spent
  WHERE pid IS NOT NULL
  GROUP BY pid
), woken AS (
  -- Where a process waits for a CPU outside of requests, it is to read them.
  SELECT
    pid,
    least(
      1, greatest(0, s.runq_ns - o.runq_ns) / nullif(o.queue_ns, 0)
    ) AS share
  FROM own AS o
  JOIN scheduled AS s USING (pid)
), root AS (
  SELECT
    r.root_sock,
    r.root_recv_ts_ns,
    sum(r.share * (r.runq_ns + r.queue_ns * coalesce(w.share, 0))) AS ns
  FROM spent AS r
  LEFT JOIN woken AS w USING (pid)
  GROUP BY ALL
), whole AS (
  SELECT sum(ns) AS ns, sum(ns * ns) / nullif(sum(ns), 0) AS typical_ns
  FROM root
), users AS (
  SELECT
    -- `python -c` names no script.
    CASE WHEN l.service LIKE '-%' THEN p.comm ELSE
      coalesce(l.service, nullif(p.comm, ''), 'unknown') END AS service,
    coalesce(l.layer, 'host') AS layer,
    l.pid IN (SELECT pid FROM own) AS serves,
    count(DISTINCT p.pid) AS processes,
    sum(coalesce(p.cpu_ns, p.user_ns + p.system_ns)) AS cpu_ns
  FROM process_stat AS p
  LEFT JOIN process_layer AS l USING (pid)
  GROUP BY ALL
), hog AS (
  SELECT * FROM users ORDER BY cpu_ns DESC NULLS LAST, service LIMIT 1
), served AS (
  SELECT sum(cpu_ns) FILTER (serves) / sum(cpu_ns) AS share FROM users
)
SELECT
  CASE WHEN h.serves THEN h.layer ELSE 'host' END AS layer,
  CASE WHEN h.serves THEN h.service ELSE '' END AS service,
  h.service AS object,
  w.ns::BIGINT AS explained_ns,
  w.typical_ns::BIGINT AS typical_ns,
  NULL AS severity,
  b.share AS measured,
  0.8 AS threshold,
  [
    figure('CPUs busy', b.share, 'share'),
    figure('threads running or waiting to, on average', b.running, 'threads'),
    figure('CPUs of the host', c.cpus, 'CPUs'),
    figure('processes of ' || h.service, h.processes, 'processes'),
    figure('they use', h.cpu_ns / s.dur_ns, 'CPUs')
  ] AS evidence,
  []::VARCHAR[] AS doubts
FROM whole AS w, busy AS b, hog AS h, span AS s, capture AS c
WHERE b.share >= 0.8 AND w.ns > 0
ORDER BY explained_ns
