-- retransmits   How much of what each process sends is sent again, by peer.
--
-- Answers:  Which link loses packets, and whom does it slow down?
-- Params:   none
-- Returns:  one row per process and peer that had something sent again: segments
--           sent on its connections since they were made (of open ones up to
--           their last sample), retransmitted ones among them, their share; of
--           the packets sent again during the capture the segments by kind: after
--           a timeout (which stalls), fast, probe. Segments are NULL where they
--           are known for no connection
-- Cost:     one pass over tcp_retransmit, tcp_connection and socket
WITH carried AS (
  SELECT
    pid,
    comm,
    netns,
    remote_addr,
    count(*) AS connections,
    sum(segs_out)::BIGINT AS segs_out,
    sum(retransmits)::BIGINT AS retransmits
  FROM tcp_end
  GROUP BY pid, comm, netns, remote_addr
), packet AS (
  SELECT
    coalesce(r.pid, c.pid) AS pid,
    coalesce(nullif(r.comm, ''), c.comm, '') AS comm,
    r.netns,
    r.remote_addr,
    r.kind,
    r.segs
  FROM tcp_retransmit AS r
  ASOF LEFT JOIN tcp_end AS c
    ON r.netns = c.netns AND r.local_addr = c.local_addr
    AND r.remote_addr = c.remote_addr AND r.local_port = c.local_port
    AND r.remote_port = c.remote_port AND r.ts_ns <= c.ts_ns
), again AS (
  SELECT
    pid,
    comm,
    netns,
    remote_addr,
    coalesce(sum(segs) FILTER (kind = 'timeout'), 0)::BIGINT AS timeout_segs,
    coalesce(sum(segs) FILTER (kind = 'fast'), 0)::BIGINT AS fast_segs,
    coalesce(sum(segs) FILTER (kind = 'probe'), 0)::BIGINT AS probe_segs
  FROM packet
  GROUP BY pid, comm, netns, remote_addr
)
SELECT
  coalesce(c.pid, a.pid) AS pid,
  coalesce(c.comm, a.comm) AS comm,
  coalesce(c.netns, a.netns) AS netns,
  coalesce(c.remote_addr, a.remote_addr) AS remote_addr,
  coalesce(c.connections, 0) AS connections,
  c.segs_out,
  c.retransmits,
  c.retransmits / nullif(c.segs_out, 0)::DOUBLE AS retransmit_share,
  coalesce(a.timeout_segs, 0) AS timeout_segs,
  coalesce(a.fast_segs, 0) AS fast_segs,
  coalesce(a.probe_segs, 0) AS probe_segs
FROM carried AS c
FULL JOIN again AS a
  ON c.pid IS NOT DISTINCT FROM a.pid AND c.comm = a.comm
  AND c.netns = a.netns AND c.remote_addr = a.remote_addr
WHERE c.retransmits > 0 OR a.remote_addr IS NOT NULL
ORDER BY
  coalesce(c.retransmits, a.timeout_segs + a.fast_segs + a.probe_segs) DESC,
  coalesce(c.pid, a.pid), coalesce(c.comm, a.comm),
  coalesce(c.remote_addr, a.remote_addr), coalesce(c.netns, a.netns)
