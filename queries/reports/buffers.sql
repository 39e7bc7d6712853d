-- buffers   Socket buffers against their limits over time, the fullest first.
--
-- Answers:  Which connections fill a buffer: who reads too slowly, whose network or
--           peer is too slow, which listener is overrun?
-- Params:   count BIGINT = 20 (sockets shown)
-- Returns:  one row per socket: samples; highest share of the receive and the send
--           buffer's limit, of a listener's backlog; samples in which one of them
--           was over 0.9; drops while it was watched; shares of the time with data
--           to send in which the peer's window or the send buffer held it back
-- Cost:     one pass over socket
WITH filled AS (
  SELECT
    *,
    rmem_bytes / nullif(rmem_limit_bytes, 0) AS recv_share,
    wmem_bytes / nullif(wmem_limit_bytes, 0) AS send_share,
    backlog / nullif(backlog_limit, 0) AS backlog_share,
    greatest(recv_share, send_share, backlog_share) AS fullest
  FROM socket
), watched AS (
  SELECT
    netns,
    cookie,
    protocol,
    local_addr,
    local_port,
    remote_addr,
    remote_port,
    max(pid) AS pid,
    arg_max(state, (ts_ns, state)) AS state,
    count(*) AS samples,
    max(recv_share) AS recv_share,
    max(send_share) AS send_share,
    max(backlog_share) AS backlog_share,
    count(*) FILTER (fullest > 0.9) AS full_samples,
    max(drops) - min(drops) AS drops,
    (max(peer_limited_ns) - min(peer_limited_ns))
      / nullif(max(busy_ns) - min(busy_ns), 0) AS peer_limited_share,
    (max(buffer_limited_ns) - min(buffer_limited_ns))
      / nullif(max(busy_ns) - min(busy_ns), 0) AS buffer_limited_share
  FROM filled
  GROUP BY ALL
)
SELECT * EXCLUDE (netns, cookie)
FROM watched
ORDER BY
  full_samples DESC,
  greatest(recv_share, send_share, backlog_share) DESC NULLS LAST,
  netns, cookie, protocol, local_addr, local_port, remote_addr, remote_port
LIMIT $count
