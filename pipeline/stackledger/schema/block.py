"""Tables of block I/O."""

from __future__ import annotations

from stackledger.schema.model import TS, Column, Table, ns, table

TABLES: tuple[Table, ...] = (
    table(
        "block_io",
        "one row per completed block I/O",
        ns("ts_ns", f"completion: {TS}"),
        Column("pid", "int32", "", "process that submitted it"),
        Column("tid", "int32", "", "thread that submitted it"),
        Column("comm", "string", "", "name of that thread"),
        Column("dev", "int32", "", "kernel dev_t: major << 20 | minor"),
        Column("sector", "int64", "512 bytes", "first sector, -1 for a flush"),
        Column("bytes", "int64", "bytes", "size"),
        Column(
            "rwbs",
            "string",
            "",
            "R read, W write, F flush, D discard; S sync, A read-ahead, M metadata",
        ),
        ns("queue_ns", "from submission to the device's driver"),
        ns("device_ns", "in the device"),
        Column("error", "int32", "errno", "0 or a negative errno"),
    ),
)
