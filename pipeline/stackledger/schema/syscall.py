"""Tables of system calls."""

from __future__ import annotations

from stackledger.schema.model import TS, Column, Table, ns, table

TABLES: tuple[Table, ...] = (
    table(
        "syscall_count",
        "one row per second, process, system call and thread name",
        ns("ts_ns", f"end of the second: {TS}"),
        ns("interval_ns", "length of the interval"),
        Column("pid", "int32", "", "process"),
        Column("syscall", "int32", "", "number of the system call"),
        Column("comm", "string", "", "name of the calling thread"),
        Column("calls", "int64", "events", "calls that returned"),
        Column("errors", "int64", "events", "calls that returned an error"),
        ns("total_ns", "time spent in them, waiting included"),
        ns("max_ns", "the longest"),
    ),
    table(
        "syscall_latency",
        "one row per second, system call and bucket of durations",
        ns("ts_ns", f"end of the second: {TS}"),
        ns("interval_ns", "length of the interval"),
        Column("syscall", "int32", "", "number of the system call"),
        ns("bucket_ns", "lower bound; the middle, 1/128 above it, is at most 0.8 % away"),
        Column("calls", "int64", "events", "calls that took so long"),
    ),
)
