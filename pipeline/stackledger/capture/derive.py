"""Raw rows of a probe into rows of the registry's tables.

What the probe does not print is made here: names of requests from their first
bytes, ports out of network byte order, NULL where the probe says "unknown".
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from stackledger.capture import blockio, protocols
from stackledger.capture.writer import arrow_schema, to_epoch

# A probe prints -1 for what it does not know; elsewhere -1 is a value.
_UNKNOWN = {"block_io": ("pid", "tid", "queue_ns", "device_ns")}
# Two 32-bit numbers in one, because a printed row is limited to 24 or so values.
_PACKED = {"pid_tid": ("pid", "tid"), "calls_handovers": ("calls", "handovers")}


def derive(table: str, raw: pa.Table, offset_ns: int, *, payload: bool = False) -> pa.Table:
    """Return `raw` in the registry's columns and types, its times since the epoch.

    `payload` keeps the first bytes of requests; without it only their normalised
    name leaves this function.
    """
    columns: dict[str, pa.ChunkedArray | pa.Array] = {
        name: raw.column(name) for name in raw.column_names
    }
    for name in _UNKNOWN.get(table, ()):
        column = columns[name]
        columns[name] = pc.if_else(pc.equal(column, -1), pa.scalar(None, column.type), column)
    for packed, (high, low) in _PACKED.items():
        if packed in columns:
            column = columns.pop(packed)
            columns[high] = pc.shift_right(column, 32)
            columns[low] = pc.bit_wise_and(column, 0xFFFF_FFFF)
    if "cmd_flags" in columns:
        columns["rwbs"] = blockio.rwbs(columns.pop("cmd_flags"))
    if "blk_status" in columns:
        columns["error"] = blockio.errno(columns.pop("blk_status"))
    if "other_syscall" in columns:
        # The probe prints its number and one more, for a map holds 0 where nothing was put.
        columns["other_syscall"] = pc.subtract(columns["other_syscall"], 1)
    if "remote_port" in columns:
        columns["remote_port"] = _host_order(columns["remote_port"])
    if "first" in columns:
        first = columns.pop("first")
        columns.update(protocols.name_requests(first))
        if payload:
            columns["payload"] = protocols.raw_bytes(first)
        if "answer" in columns:
            columns.update(protocols.judge_answers(columns["protocol"], columns.pop("answer")))
    wanted = arrow_schema(table)
    arrays = [_fitted(columns.get(field.name), field.type, raw.num_rows) for field in wanted]
    return to_epoch(pa.table(arrays, names=wanted.names), offset_ns)


def _host_order(port: pa.ChunkedArray) -> pa.ChunkedArray:
    low = pc.shift_left(pc.bit_wise_and(port, 0xFF), 8)
    return pc.bit_wise_or(low, pc.bit_wise_and(pc.shift_right(port, 8), 0xFF))


def _fitted(
    column: pa.ChunkedArray | pa.Array | None, kind: pa.DataType, rows: int
) -> pa.ChunkedArray | pa.Array:
    if column is None:
        return pa.nulls(rows, kind)
    if pa.types.is_dictionary(column.type):
        return column
    return column if column.type == kind else column.cast(kind, safe=False)
