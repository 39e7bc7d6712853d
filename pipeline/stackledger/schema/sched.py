"""Tables of the scheduler."""

from __future__ import annotations

from stackledger.schema.model import TS, Column, Table, ns, table

TABLES: tuple[Table, ...] = (
    table(
        "run_queue",
        "one row per second, process, thread name and bucket of waits for a CPU",
        ns("ts_ns", f"end of the second: {TS}"),
        ns("interval_ns", "length of the interval"),
        Column("pid", "int32", "", "process"),
        ns("bucket_ns", "lower bound; the middle, 1/128 above it, is at most 0.8 % away"),
        Column("comm", "string", "", "name of the thread that waited"),
        Column("waits", "int64", "events", "times that a thread waited and then ran"),
        ns("total_ns", "runnable, waiting for a CPU"),
        ns("max_ns", "the longest wait"),
    ),
    table(
        "context_switch",
        "one row per second, process and thread name",
        ns("ts_ns", f"end of the second: {TS}"),
        ns("interval_ns", "length of the interval"),
        Column("pid", "int32", "", "process"),
        Column("comm", "string", "", "name of the thread that left the CPU"),
        Column("switches", "int64", "events", "times that a thread left the CPU"),
        Column("voluntary", "int64", "events", "of these, to wait or to end"),
        Column("involuntary", "int64", "events", "of these, for another took the CPU"),
    ),
    table(
        "off_cpu",
        "one row per second, process, thread name, state and stack: time off CPU",
        ns("ts_ns", f"end of the second in which the waits ended: {TS}"),
        ns("interval_ns", "length of the interval"),
        Column("pid", "int32", "", "process"),
        Column("state", "int16", "", "0 preempted, 1 S sleeping, 2 D uninterruptible, others rare"),
        Column("kstack", "string", "", "kernel functions, innermost first, one a line"),
        Column("ustack", "string", "", "user functions, likewise; empty where there are none"),
        Column("comm", "string", "", "name of the thread that waited"),
        Column("blocks", "int64", "events", "waits"),
        ns("total_ns", "off CPU, waiting for a CPU included"),
        ns("max_ns", "the longest wait"),
    ),
)
