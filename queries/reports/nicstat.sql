-- nicstat   Network interfaces second by second, against the speed of their links.
--
-- Answers:  How much does each interface carry, is its link full, does it drop?
-- Params:   interface VARCHAR = NULL (one interface by name; NULL: all)
-- Returns:  one row per second (ts_ns: its end) and interface: kB (1024 bytes) and
--           packets a second, mean packet sizes, packets with errors or dropped in that
--           second; used_share is the fuller direction's share of the link, NULL
--           where the link's speed is not known
-- Cost:     one pass over host_net
WITH per_s AS (
  SELECT *, 1e9 / interval_ns AS f
  FROM host_net
  WHERE interval_ns > 0 AND ($interface IS NULL OR interface = $interface)
)
SELECT
  ts_ns,
  interface,
  recv_bytes / 1024 * f AS "rkB/s",
  send_bytes / 1024 * f AS "wkB/s",
  recv_packets * f AS "rpk/s",
  send_packets * f AS "wpk/s",
  recv_bytes / nullif(recv_packets, 0) AS recv_avg_bytes,
  send_bytes / nullif(send_packets, 0) AS send_avg_bytes,
  recv_errors,
  send_errors,
  recv_drops,
  send_drops,
  link_bps,
  greatest(recv_bytes, send_bytes) * 8 * f / link_bps AS used_share
FROM per_s
ORDER BY ts_ns, interface
