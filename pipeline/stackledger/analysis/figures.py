"""The figures that several experiments share."""

from __future__ import annotations

from stackledger.analysis.experiment import (
    GRAPHS,
    KERNEL,
    LEDGER,
    REQUESTS,
    Figure,
    part,
    sql,
)

CPU = sql(
    GRAPHS,
    "CPU busy",
    "share",
    """
    SELECT sum(user_ns + system_ns)
      / nullif(sum(user_ns + system_ns + idle_ns + iowait_ns + steal_ns), 0)
    FROM host_cpu
    """,
)
MEMORY = sql(
    GRAPHS,
    "memory in use",
    "share",
    "SELECT 1 - avg(mem_available_bytes / mem_total_bytes) FROM host_cpu",
)
RATE = sql(
    REQUESTS,
    "requests/s",
    "hz",
    "SELECT (SELECT count(*) FROM roots WHERE complete) * 1e9 / dur_ns FROM span",
)
MEDIAN = sql(REQUESTS, "latency p50", "ns", "SELECT quantile_disc(wall_ns, 0.5) FROM roots")
P99 = sql(REQUESTS, "latency p99", "ns", "SELECT quantile_disc(wall_ns, 0.99) FROM roots")
FAILED = sql(
    REQUESTS,
    "failed",
    "share",
    "SELECT avg(error::INTEGER) FROM requests WHERE parent_sock IS NULL",
)
SEEN: tuple[Figure, ...] = (CPU, MEMORY, RATE, MEDIAN, P99, FAILED)

ON_CPU = part("on a CPU", "cpu")
FOR_CPU = part("waiting for a CPU", "runq")
FOR_DISK = part("waiting for the disk", "disk")
FOR_NETWORK = part("on the network", "net")
FOR_LOCK = part("waiting for a lock", "lock")
IN_QUEUE = part("arrived, not yet read", "queue")
OTHERWISE = part("otherwise off the CPU", "sleep", "other", "untraced")
UNEXPLAINED = part("unexplained", "unexplained")
WHOLE = Figure(LEDGER, "sum", "ns", lambda evidence: evidence.attribution.slow.wall_ns)
PARTS: tuple[Figure, ...] = (
    *(ON_CPU, FOR_CPU, FOR_DISK, FOR_NETWORK, FOR_LOCK, IN_QUEUE, OTHERWISE, UNEXPLAINED),
    WHOLE,
)

DISK_P50 = sql(
    KERNEL,
    "disk latency p50",
    "ns",
    """
    SELECT quantile_disc(queue_ns + device_ns, 0.5) FROM block_io
    WHERE bytes > 0 AND dev = coalesce($dev, dev)
    """,
)
DISK_P99 = sql(
    KERNEL,
    "disk latency p99",
    "ns",
    """
    SELECT quantile_disc(queue_ns + device_ns, 0.99) FROM block_io
    WHERE bytes > 0 AND dev = coalesce($dev, dev)
    """,
)
DISK_IOPS = sql(
    KERNEL,
    "I/Os per second",
    "hz",
    """
    SELECT count(*) * 1e9 / (SELECT dur_ns FROM span) FROM block_io
    WHERE bytes > 0 AND dev = coalesce($dev, dev)
    """,
)
# `dev` is the lab's own disk; where it has none, the busiest is meant.
DISK_BUSY = sql(
    KERNEL,
    "disk busy",
    "share",
    """
    SELECT max(share) FROM (
      SELECT least(1.0, sum(busy_ns) / sum(interval_ns)) AS share FROM host_disk
      WHERE dev = coalesce($dev, dev) GROUP BY dev
    )
    """,
)
RETRANSMITTED = sql(
    KERNEL,
    "TCP segments sent again",
    "share",
    """
    SELECT coalesce(sum(value) FILTER (name = 'RetransSegs'), 0)
      / nullif(sum(value) FILTER (name IN ('OutSegs', 'RetransSegs')), 0)
    FROM host_protocol WHERE protocol = 'Tcp'
    """,
)
CONTEXT_SWITCHES = sql(
    KERNEL,
    "context switches/s",
    "hz",
    "SELECT sum(context_switches) * 1e9 / sum(interval_ns) FROM host_cpu",
)
TIMEOUTS = sql(
    KERNEL,
    "TCP timeouts/s",
    "hz",
    """
    SELECT coalesce(sum(value), 0) * 1e9 / (SELECT dur_ns FROM span)
    FROM host_protocol WHERE protocol = 'TcpExt' AND name = 'TCPTimeouts'
    """,
)
# Lost on the way: by a filter, for want of room. What came twice is not meant.
DROPPED = sql(
    KERNEL,
    "packets dropped on the way/s",
    "hz",
    "SELECT coalesce(sum(packets), 0) * 1e9 / (SELECT dur_ns FROM span) FROM packet_drop"
    " WHERE reason NOT LIKE 'TCP_OLD%' AND reason NOT LIKE 'QUEUE_PURGE'",
)
BUFFER = sql(
    KERNEL,
    "fullest socket buffer",
    "share",
    """
    SELECT max(greatest(rmem_bytes / rmem_limit_bytes, wmem_bytes / wmem_limit_bytes))
    FROM socket WHERE protocol = 'tcp' AND state = 'ESTABLISHED'
    """,
)
OPENED = sql(
    KERNEL,
    "connections opened/s",
    "hz",
    """
    SELECT count(*) * 1e9 / (SELECT dur_ns FROM span)
    FROM tcp_connection WHERE NOT accepted AND opened_ts_ns IS NOT NULL
    """,
)
CONNECT_P99 = sql(
    KERNEL,
    "to open one, p99",
    "ns",
    "SELECT quantile_disc(connect_ns, 0.99) FROM tcp_connection WHERE NOT accepted",
)
CONNECT_LONGEST = sql(
    KERNEL,
    "to open one, longest",
    "ns",
    "SELECT max(connect_ns) FROM tcp_connection WHERE NOT accepted",
)
ACCEPT_P99 = sql(
    KERNEL,
    "to be accepted, p99",
    "ns",
    "SELECT quantile_disc(accept_ns, 0.99) FROM tcp_connection WHERE accepted",
)
