-- retransmit_share   How much of what TCP sends is sent again, by the kernel's own counters.
--
-- Answers:  Does this host, or this container, lose packets, and how does TCP notice?
-- Params:   none
-- Returns:  one row per second and network namespace that sent: segments sent for the
--           first time and again, the share of the latter in both; timeouts (which
--           stall a connection), fast retransmissions, probes of a lost tail; resets
--           sent, connections reset by the other side
-- Cost:     one pass over host_protocol
WITH counted AS (
  SELECT
    ts_ns,
    netns,
    coalesce(sum(value) FILTER (name = 'OutSegs'), 0)::BIGINT AS segs_out,
    coalesce(sum(value) FILTER (name = 'RetransSegs'), 0)::BIGINT
      AS retransmits,
    coalesce(sum(value) FILTER (name = 'TCPTimeouts'), 0)::BIGINT AS timeouts,
    coalesce(sum(value) FILTER (name = 'TCPFastRetrans'), 0)::BIGINT
      AS fast_retransmits,
    coalesce(sum(value) FILTER (name = 'TCPLossProbes'), 0)::BIGINT AS probes,
    coalesce(sum(value) FILTER (name = 'OutRsts'), 0)::BIGINT AS resets_sent,
    coalesce(sum(value) FILTER (name = 'EstabResets'), 0)::BIGINT
      AS connections_reset
  FROM host_protocol
  WHERE protocol IN ('Tcp', 'TcpExt')
  GROUP BY ts_ns, netns
)
SELECT
  ts_ns,
  netns,
  segs_out,
  retransmits,
  retransmits / nullif(segs_out + retransmits, 0)::DOUBLE AS retransmit_share,
  timeouts,
  fast_retransmits,
  probes,
  resets_sent,
  connections_reset
FROM counted
WHERE segs_out + retransmits + resets_sent + connections_reset > 0
ORDER BY ts_ns, netns
