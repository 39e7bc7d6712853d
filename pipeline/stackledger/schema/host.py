"""Tables of the host's counters, read every second."""

from __future__ import annotations

from stackledger.schema.model import TS, Column, Table, ns, table

TABLES: tuple[Table, ...] = (
    table(
        "host_cpu",
        "one row per second: the host's CPUs together",
        ns("ts_ns", f"end of the interval: {TS}"),
        ns("interval_ns", "length of the interval"),
        ns("user_ns", "in user mode, all CPUs"),
        ns("system_ns", "in the kernel, all CPUs"),
        ns("iowait_ns", "idle while a disk was waited for, all CPUs"),
        ns("steal_ns", "taken by the hypervisor, all CPUs"),
        ns("idle_ns", "idle, all CPUs"),
        Column("mem_total_bytes", "int64", "bytes", "memory"),
        Column("mem_available_bytes", "int64", "bytes", "usable without swapping"),
    ),
    table(
        "host_disk",
        "one row per second and disk",
        ns("ts_ns", f"end of the interval: {TS}"),
        ns("interval_ns", "length of the interval"),
        Column("dev", "int32", "", "kernel dev_t: major << 20 | minor"),
        Column("disk", "string", "", "device name"),
        Column("reads", "int64", "I/Os", "completed reads"),
        Column("writes", "int64", "I/Os", "completed writes"),
        Column("read_bytes", "int64", "bytes", "read"),
        Column("write_bytes", "int64", "bytes", "written"),
        ns("busy_ns", "time with at least one I/O in flight"),
    ),
    table(
        "host_net",
        "one row per second and network interface",
        ns("ts_ns", f"end of the interval: {TS}"),
        ns("interval_ns", "length of the interval"),
        Column("interface", "string", "", "interface name"),
        Column("recv_bytes", "int64", "bytes", "received"),
        Column("send_bytes", "int64", "bytes", "sent"),
    ),
)
