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
)
