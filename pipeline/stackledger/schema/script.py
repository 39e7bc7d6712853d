"""Tables of a user's own bpftrace: what it printed that is no table of its own."""

from __future__ import annotations

from stackledger.schema.model import TS, Column, Table, ns, table

_SCRIPT = Column("script", "string", "", "file of the script, or -e")

TABLES: tuple[Table, ...] = (
    table(
        "script_map",
        "one row per entry of a map, each time it was printed",
        ns("ts_ns", f"when it was read: {TS}"),
        _SCRIPT,
        Column("map", "string", "", "name of the map, @ included"),
        Column("key", "string", "", "key, its parts joined by commas; empty where it has none"),
        Column("part", "string", "", "of stats(): count, average, total; else empty"),
        Column("value", "int64", "", "the number, NULL where it is a text or a tuple"),
        Column("text", "string", "", "the value as text: JSON where it is a tuple"),
    ),
    table(
        "script_hist",
        "one row per bucket of a histogram, each time it was printed",
        ns("ts_ns", f"when it was read: {TS}"),
        _SCRIPT,
        Column("map", "string", "", "name of the map, @ included"),
        Column("key", "string", "", "key, its parts joined by commas; empty where it has none"),
        Column("from_value", "int64", "", "smallest value of the bucket, NULL: no limit"),
        Column("to_value", "int64", "", "largest value of the bucket, NULL: no limit"),
        Column("count", "int64", "values", "values in the bucket"),
    ),
    table(
        "script_line",
        "one row per printf, print or time of a script",
        ns("ts_ns", f"when it was read: {TS}"),
        _SCRIPT,
        Column("line", "string", "", "what was printed, without a newline at its end"),
    ),
)
