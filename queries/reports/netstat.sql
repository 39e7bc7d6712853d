-- netstat   TCP second by second: connections by state, opens, resets, losses, drops.
--
-- Answers:  How many connections are there in which state, how much is sent again,
--           and do listeners turn connections away?
-- Params:   none
-- Returns:  one row per second (ts_ns: its end) and network namespace (by inode):
--           sockets by state where they were listed then, else NULL (TIME_WAIT is in
--           `limits`); segments a second; retransmit_share of the segments sent; the
--           rest are the events of that second under the kernel's names
-- Cost:     one pass over host_protocol and socket
WITH tcp AS (
  SELECT
    ts_ns,
    netns,
    max(interval_ns) AS interval_ns,
    map_from_entries(list((name, value))) AS counted
  FROM (
    SELECT
      ts_ns, netns, name,
      max(interval_ns) AS interval_ns,
      max(value) AS value
    FROM host_protocol
    WHERE protocol IN ('Tcp', 'TcpExt') AND interval_ns > 0
    GROUP BY ts_ns, netns, name
  )
  GROUP BY ts_ns, netns
), listed AS (
  SELECT
    ts_ns,
    netns,
    count(*) FILTER (state = 'ESTABLISHED') AS established,
    count(*) FILTER (state = 'LISTEN') AS listening,
    count(*) FILTER (state = 'SYN_SENT') AS syn_sent,
    count(*) FILTER (state = 'SYN_RECV') AS syn_recv,
    count(*) FILTER (state IN ('FIN_WAIT1', 'FIN_WAIT2', 'CLOSING', 'LAST_ACK'))
      AS closing,
    count(*) FILTER (state = 'CLOSE_WAIT') AS close_wait
  FROM socket
  WHERE protocol = 'tcp'
  GROUP BY ts_ns, netns
)
SELECT
  ts_ns,
  netns,
  s.established,
  s.listening,
  s.syn_sent,
  s.syn_recv,
  s.closing,
  s.close_wait,
  coalesce(t.counted['InSegs'], 0) * 1e9 / t.interval_ns AS "in_segs/s",
  coalesce(t.counted['OutSegs'], 0) * 1e9 / t.interval_ns AS "out_segs/s",
  coalesce(t.counted['RetransSegs'], 0) AS retrans_segs,
  coalesce(t.counted['RetransSegs'], 0) / nullif(t.counted['OutSegs'], 0)
    AS retransmit_share,
  coalesce(t.counted['TCPTimeouts'], 0) AS timeouts,
  coalesce(t.counted['TCPLostRetransmit'], 0) AS lost_retransmits,
  coalesce(t.counted['ActiveOpens'], 0) AS active_opens,
  coalesce(t.counted['PassiveOpens'], 0) AS passive_opens,
  coalesce(t.counted['AttemptFails'], 0) AS attempt_fails,
  coalesce(t.counted['EstabResets'], 0) AS estab_resets,
  coalesce(t.counted['OutRsts'], 0) AS out_rsts,
  coalesce(t.counted['ListenOverflows'], 0) AS listen_overflows,
  coalesce(t.counted['ListenDrops'], 0) AS listen_drops,
  coalesce(t.counted['TCPRcvQDrop'], 0) AS rcvq_drops,
  coalesce(t.counted['TCPBacklogDrop'], 0) AS backlog_drops
FROM tcp AS t
LEFT JOIN listed AS s USING (ts_ns, netns)
ORDER BY ts_ns, netns
