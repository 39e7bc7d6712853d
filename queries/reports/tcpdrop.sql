-- tcpdrop   Packets that the kernel threw away: why, which protocol, port and interface.
--
-- Answers:  What is dropped on this host, and for what reason?
-- Params:   none
-- Returns:  one row per reason, protocol, local port, interface and network
--           namespace: packets, bytes, the busiest second's packets, the end of the
--           first and last such second. NOT_SPECIFIED is what the kernel gives no
--           reason for: on loopback also packets that had done their work
-- Cost:     one pass over packet_drop
SELECT
  reason,
  protocol,
  local_port,
  interface,
  netns,
  sum(packets)::BIGINT AS packets,
  sum(bytes)::BIGINT AS bytes,
  max(packets) AS busiest_packets,
  min(ts_ns) AS first_ts_ns,
  max(ts_ns) AS last_ts_ns
FROM packet_drop
GROUP BY reason, protocol, local_port, interface, netns
ORDER BY packets DESC, reason, protocol, local_port, interface, netns
