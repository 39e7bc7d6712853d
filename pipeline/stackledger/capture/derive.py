"""Raw rows of a probe into rows of the registry's tables.

What the probe does not print is made here: names of requests from their first
bytes, ports out of network byte order, NULL where the probe says "unknown".
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from stackledger.capture import arguments, blockio, packets, protocols, stacks, tcp
from stackledger.capture.writer import arrow_schema, to_epoch

_MINUS_ONE, _ONE, _HALF = (pa.scalar(number, pa.int64()) for number in (-1, 1, 32))
_LOW_HALF = pa.scalar(0xFFFF_FFFF, pa.int64())
_EIGHT, _BYTE = (pa.scalar(number, pa.int64()) for number in (8, 0xFF))
_TEXT = pa.dictionary(pa.int32(), pa.string())

# A probe prints -1 for what it does not know; elsewhere -1 is a value.
_UNKNOWN = {
    "block_io": ("pid", "tid", "queue_ns", "device_ns"),
    "tcp_connection": (
        *("pid", "tid", "opened_ts_ns", "dur_ns", "connect_ns", "accept_ns"),
        *("send_bytes", "recv_bytes", "segs_out", "retransmits"),
    ),
    "tcp_retransmit": ("pid", "tid"),
    "tcp_reset": ("pid", "tid"),
    "exec": ("dur_ns", "arguments"),
}
# Two 32-bit numbers in one, because a printed row is limited to 24 or so values.
_PACKED = {"pid_tid": ("pid", "tid"), "calls_handovers": ("calls", "handovers")}


def derive(table: str, raw: pa.Table, offset_ns: int, *, payload: bool = False) -> pa.Table:
    """Return `raw` in the registry's columns and types, its times since the epoch.

    `payload` keeps the first bytes of requests and the arguments of programs; without it
    only what is normalised leaves this function.
    """
    columns: dict[str, pa.ChunkedArray | pa.Array] = {
        name: raw.column(name) for name in raw.column_names
    }
    for name in _UNKNOWN.get(table, ()):
        column = columns[name]
        columns[name] = pc.if_else(
            pc.equal(column, _MINUS_ONE), pa.scalar(None, column.type), column
        )
    for packed, (high, low) in _PACKED.items():
        if packed in columns:
            column = columns.pop(packed)
            columns[high] = pc.shift_right(column, _HALF)
            columns[low] = pc.bit_wise_and(column, _LOW_HALF)
    for raw_name, (name, convert) in _CONVERTED.items():
        if raw_name in columns:
            columns[name] = convert(columns.pop(raw_name))
    if table == "profile":
        columns.update(stacks.named(columns))
    if table == "exec_argument" and not payload:
        columns["argument"] = _without_values(columns)
    if "first" in columns:
        _name_requests(columns, payload=payload)
    wanted = arrow_schema(table)
    arrays = [_fitted(columns.get(field.name), field.type, raw.num_rows) for field in wanted]
    return to_epoch(pa.table(arrays, names=wanted.names), offset_ns)


def _name_requests(columns: dict[str, pa.ChunkedArray | pa.Array], *, payload: bool) -> None:
    """Put names, and how it ended, in the place of a request's and an answer's first bytes."""
    first = columns.pop("first")
    columns.update(protocols.name_requests(first))
    if payload:
        columns["payload"] = protocols.raw_bytes(first)
    if "answer" in columns:
        columns.update(protocols.judge_answers(columns["protocol"], columns.pop("answer")))


def _without_values(columns: dict[str, pa.ChunkedArray | pa.Array]) -> pa.Array:
    begun = zip(columns["ts_ns"].to_pylist(), columns["pid"].to_pylist(), strict=True)
    texts = columns["position"].to_pylist(), columns["argument"].to_pylist()
    return arguments.normalised_rows(begun, *texts)


def _host_order(port: pa.ChunkedArray) -> pa.ChunkedArray:
    low = pc.shift_left(pc.bit_wise_and(port, _BYTE), _EIGHT)
    return pc.bit_wise_or(low, pc.bit_wise_and(pc.shift_right(port, _EIGHT), _BYTE))


def _system_call(number: pa.ChunkedArray) -> pa.ChunkedArray:
    # The probe prints its number and one more, for a map holds 0 where nothing was put.
    return pc.subtract(number, _ONE)


# Raw column -> the registry's, and how it is made.
_CONVERTED: dict[str, tuple[str, Callable[[pa.ChunkedArray], pa.ChunkedArray | pa.Array]]] = {
    "cmd_flags": ("rwbs", blockio.rwbs),
    "blk_status": ("error", blockio.errno),
    "other_syscall": ("other_syscall", _system_call),
    "remote_port": ("remote_port", _host_order),
    "local_ip": ("local_addr", tcp.address),
    "remote_ip": ("remote_addr", tcp.address),
    "role": ("accepted", tcp.accepted),
    "rtt_us": ("rtt_ns", tcp.nanoseconds),
    "end_code": ("ended", tcp.ended),
    "tcp_state": ("state", tcp.state),
    "retransmit_code": ("kind", tcp.retransmit_kind),
    "reset_code": ("reason", packets.reset_reason),
    "reason_code": ("reason", packets.drop_reason),
    "protocol_code": ("protocol", packets.protocol),
    "buffer_code": ("buffer", packets.buffer),
}


def _fitted(
    column: pa.ChunkedArray | pa.Array | None, kind: pa.DataType, rows: int
) -> pa.ChunkedArray | pa.Array:
    if column is None:
        return pa.nulls(rows, _TEXT if pa.types.is_string(kind) else kind)
    if pa.types.is_dictionary(column.type):
        return column
    if pa.types.is_string(kind):
        return column.dictionary_encode()  # like those that come so
    return column if column.type == kind else column.cast(kind, safe=False)
