-- sockbuf   Socket buffers that had no room: which, at which port, how often.
--
-- Answers:  Is something lost or held up because a socket's buffer is full?
-- Params:   none
-- Returns:  one row per buffer, protocol and port: times that there was no room, the
--           most that it held, its limit and the share, NULL where not told
-- Cost:     one pass over sock_buffer; needs the probe packet_drop
SELECT
  buffer,
  CASE ip_protocol WHEN 6 THEN 'tcp' WHEN 17 THEN 'udp' ELSE '' END AS protocol,
  local_port,
  sum(events)::BIGINT AS events,
  nullif(max(max_used_bytes), 0) AS max_used_bytes,
  nullif(max(max_limit_bytes), 0) AS max_limit_bytes,
  max(max_used_bytes / nullif(max_limit_bytes, 0)::DOUBLE) AS used_share
FROM sock_buffer
GROUP BY buffer, ip_protocol, local_port
ORDER BY events DESC, buffer, protocol, local_port, ip_protocol
