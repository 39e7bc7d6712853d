"""Tables of what programs do inside: samples of their stacks, their functions, their rings."""

from __future__ import annotations

from stackledger.schema.model import TS, Column, Table, ns, table

TABLES: tuple[Table, ...] = (
    table(
        "profile",
        "one row per sample that hit a thread: 99 per second and busy CPU",
        ns("ts_ns", f"when it was taken: {TS}"),
        Column("pid", "int32", "", "process"),
        Column("tid", "int32", "", "thread"),
        Column("comm", "string", "", "name of that thread"),
        Column("cpu", "int16", "", "number of the CPU"),
        Column("kstack", "string", "", "kernel functions, innermost first, one a line"),
        Column("ustack", "string", "", "user functions, likewise; empty where there are none"),
    ),
    table(
        "profile_cpu",
        "one row per second and CPU: samples taken, idle ones too",
        ns("ts_ns", f"end of the second: {TS}"),
        ns("interval_ns", "length of the interval"),
        Column("cpu", "int16", "", "number of the CPU"),
        Column("samples", "int64", "events", "samples taken"),
        Column("idle", "int64", "events", "of these, while nothing ran"),
    ),
    table(
        "io_uring",
        "one row per second, process, operation, bucket of durations and thread name",
        ns("ts_ns", f"end of the second: {TS}"),
        ns("interval_ns", "length of the interval"),
        Column("pid", "int32", "", "process that submitted them"),
        Column("opcode", "int16", "", "IORING_OP_ number: 22 READ, 23 WRITE, 1 READV, 13 ACCEPT …"),
        ns("bucket_ns", "lower bound; the middle, 1/128 above it, is at most 0.8 % away"),
        Column("comm", "string", "", "name of the submitting thread"),
        Column("requests", "int64", "events", "requests that completed"),
        Column("errors", "int64", "events", "of these, with a negative result"),
        ns("total_ns", "from submission to completion"),
        ns("max_ns", "the longest"),
    ),
    table(
        "function_latency",
        "one row per second, process, function and bucket of durations",
        ns("ts_ns", f"end of the second: {TS}"),
        ns("interval_ns", "length of the interval"),
        Column("pid", "int32", "", "process"),
        ns("bucket_ns", "lower bound; the middle, 1/128 above it, is at most 0.8 % away"),
        Column("function", "string", "", "its name"),
        Column("calls", "int64", "events", "calls that returned"),
        ns("total_ns", "time spent in them, waiting included"),
        ns("max_ns", "the longest"),
    ),
)
