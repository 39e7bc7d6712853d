"""The table of processes."""

from __future__ import annotations

from stackledger.schema.model import TS, Column, Table, ns, table

TABLES: tuple[Table, ...] = (
    table(
        "process",
        "one row per process seen at the start, the end, or in between",
        ns("ts_ns", f"when it was looked up: {TS}"),
        Column("pid", "int32", "", "process"),
        Column("ppid", "int32", "", "its parent"),
        ns("start_ts_ns", f"start of the process: {TS}"),
        Column("comm", "string", "", "name of its main thread"),
        Column("exe", "string", "", "path of the program"),
        Column("cmdline", "string", "", "arguments, normalised; with --payload at most 256 bytes"),
        Column("cgroup", "string", "", "cgroup path"),
        Column("uid", "int32", "", "user"),
        whole=True,
    ),
)
