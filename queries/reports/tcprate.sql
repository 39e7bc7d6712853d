-- tcprate   Connections opened, accepted, refused, reset, timed out: per second and process.
--
-- Answers:  Who opens how many connections, and how many of them fail?
-- Params:   none
-- Returns:  one row per second and process in which one of its connections began or
--           ended; ts_ns is the beginning of the second; given_up: closed by the
--           program while connecting; a connection counts once at each of its ends
-- Cost:     one pass over tcp_connection
WITH event AS (
  SELECT
    opened_ts_ns AS ts_ns,
    pid,
    comm,
    CASE WHEN accepted THEN 'accepted' ELSE 'opened' END AS what
  FROM tcp_connection
  WHERE opened_ts_ns IS NOT NULL
  UNION ALL
  SELECT ts_ns, pid, comm, ended AS what
  FROM tcp_connection
  WHERE ended <> 'open'
)
SELECT
  ts_ns // 1000000000 * 1000000000 AS ts_ns,
  pid,
  comm,
  count(*) FILTER (what = 'opened') AS opened,
  count(*) FILTER (what = 'accepted') AS accepted,
  count(*) FILTER (what = 'closed') AS closed,
  count(*) FILTER (what = 'refused') AS refused,
  count(*) FILTER (what = 'reset_sent') AS reset_sent,
  count(*) FILTER (what = 'reset_received') AS reset_received,
  count(*) FILTER (what = 'timed_out') AS timed_out,
  count(*) FILTER (what = 'given_up') AS given_up,
  count(*) FILTER (what = 'failed') AS failed
FROM event
GROUP BY ALL
ORDER BY ts_ns, pid, comm
