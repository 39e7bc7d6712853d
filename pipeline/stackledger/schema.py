"""The registry of tables: every column's Arrow type, unit and meaning.

Read by the writer (Arrow schemas), the store (views), `show --schema`, the
documentation and a test that compares probes and registry both ways.
All times are nanoseconds. A name that ends in `ts_ns` is a clock reading:
the kernel's boot clock in a probe's row, nanoseconds since the Unix epoch (UTC)
from the writer on. Every other `_ns` is a duration.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `kind` is an Arrow type name, `unit` empty for a pure label."""

    name: str
    kind: str  # int64 | int32 | int16 | bool | string | binary
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table: `grain` says what a row is."""

    name: str
    grain: str
    columns: tuple[Column, ...]


def _table(name: str, grain: str, *columns: Column) -> Table:
    return Table(name, grain, columns)


def _ns(name: str, meaning: str) -> Column:
    return Column(name, "int64", "ns", meaning)


_C = Column
_TS = "wall-clock time since the Unix epoch"

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _table(
            "connection",
            "one row per socket end, when it is first seen",
            _ns("ts_ns", f"first sight of the socket: {_TS}"),
            _C("sock", "int64", "", "kernel address of the socket, as a signed integer"),
            _C("accepted", "bool", "", "true: accepted here (server side); false: opened here"),
            _C("family", "int16", "", "1 Unix, 2 IPv4, 10 IPv6"),
            _C("local_addr", "string", "", "local IP address, empty for Unix sockets"),
            _C("local_port", "int32", "", "local port, 0 for Unix sockets"),
            _C("remote_addr", "string", "", "peer's IP address, empty for Unix sockets"),
            _C("remote_port", "int32", "", "peer's port, 0 for Unix sockets"),
            _C("peer_sock", "int64", "", "Unix sockets: the peer's sock; otherwise 0"),
            _C("pid", "int32", "", "process that first used it"),
            _C("tid", "int32", "", "thread that first used it"),
            _C("comm", "string", "", "name of that thread"),
        ),
        _table(
            "request",
            "one row per request that one process served on one connection",
            _ns("ts_ns", f"arrival of the first byte: {_TS}"),
            _C("sock", "int64", "", "server-side socket"),
            _ns("conn_ts_ns", "first sight of that socket; (sock, conn_ts_ns) is a connection"),
            _ns("recv_ts_ns", "first receive; (sock, recv_ts_ns) is a request"),
            _C("pid", "int32", "", "process that received it"),
            _C("tid", "int32", "", "thread that received it"),
            _ns("wall_ns", "from ts_ns to the last byte sent, or to the end of the capture"),
            _ns("cpu_ns", "on a CPU for this request"),
            _ns("runq_ns", "runnable, waiting for a CPU"),
            _ns("disk_ns", "off CPU for a disk"),
            _ns("lock_ns", "off CPU in futex and file locks"),
            _ns("sleep_ns", "off CPU in nanosleep and its kin"),
            _ns("other_ns", "off CPU for another measured reason"),
            _C("other_syscall", "int16", "", "system call of the last `other` wait, -1 for none"),
            _ns("covered_ns", "waiting while at least one call was under way"),
            _ns("answer_queue_ns", "part of covered_ns: an answer had arrived, was not yet read"),
            _ns("after_cpu_ns", "CPU time spent for it after its last byte was sent"),
            _C("calls", "int32", "calls", "calls that it made"),
            _C("handovers", "int32", "events", "times it moved to another thread by a wake-up"),
            _C("recv_bytes", "int64", "bytes", "received"),
            _C("send_bytes", "int64", "bytes", "sent"),
            _C("protocol", "string", "", "http, postgresql, redis, or empty where unknown"),
            _C("endpoint", "string", "", "normalised request line or statement, empty if unknown"),
            _C("statement", "string", "", "name of the prepared statement it runs, else empty"),
            _C("status", "int16", "", "HTTP status of the answer, 0 where unknown"),
            _C("error", "bool", "", "the answer's first bytes say that it failed"),
            _C("payload", "binary", "", "first bytes received; only with --payload, else NULL"),
            _C("complete", "bool", "", "false: still open when the capture ended"),
        ),
        _table(
            "call",
            "one row per use that a request made of a downstream server",
            _ns("ts_ns", f"first send: {_TS}"),
            _C("sock", "int64", "", "client-side socket"),
            _ns("conn_ts_ns", "first sight of that socket; (sock, conn_ts_ns) is a connection"),
            _C("owner_sock", "int64", "", "server-side socket of the request that made it"),
            _ns("owner_recv_ts_ns", "first receive of that request; (owner_sock, this) names it"),
            _C("pid", "int32", "", "calling process"),
            _C("tid", "int32", "", "thread that sent it"),
            _ns("wall_ns", "from the first send to the last receive"),
            _ns("busy_ns", "part of wall_ns in which the owner's own parts were measured"),
            _ns("answer_queue_ns", "the answer had arrived, was not yet read"),
            _C("send_bytes", "int64", "bytes", "sent"),
            _C("recv_bytes", "int64", "bytes", "received"),
            _C("inherited", "bool", "", "the owner came to the thread by a wake-up: less certain"),
            _C("protocol", "string", "", "as in request"),
            _C("endpoint", "string", "", "as in request"),
            _C("statement", "string", "", "as in request"),
            _C("complete", "bool", "", "false: no answer when the capture ended"),
        ),
        _table(
            "block_io",
            "one row per completed block I/O",
            _ns("ts_ns", f"completion: {_TS}"),
            _C("pid", "int32", "", "process that submitted it"),
            _C("tid", "int32", "", "thread that submitted it"),
            _C("comm", "string", "", "name of that thread"),
            _C("dev", "int32", "", "kernel dev_t: major << 20 | minor"),
            _C("sector", "int64", "512 bytes", "first sector, -1 for a flush"),
            _C("bytes", "int64", "bytes", "size"),
            _C(
                "rwbs",
                "string",
                "",
                "R read, W write, F flush, D discard; S sync, A read-ahead, M metadata",
            ),
            _ns("queue_ns", "from submission to the device's driver"),
            _ns("device_ns", "in the device"),
            _C("error", "int32", "errno", "0 or a negative errno"),
        ),
        _table(
            "process",
            "one row per process seen at the start, the end, or in between",
            _ns("ts_ns", f"when it was looked up: {_TS}"),
            _C("pid", "int32", "", "process"),
            _C("ppid", "int32", "", "its parent"),
            _ns("start_ts_ns", f"start of the process: {_TS}"),
            _C("comm", "string", "", "name of its main thread"),
            _C("exe", "string", "", "path of the program"),
            _C("cmdline", "string", "", "arguments, at most 256 bytes, secrets not removed"),
            _C("cgroup", "string", "", "cgroup path"),
            _C("uid", "int32", "", "user"),
        ),
        _table(
            "host_cpu",
            "one row per second: the host's CPUs together",
            _ns("ts_ns", f"end of the interval: {_TS}"),
            _ns("interval_ns", "length of the interval"),
            _ns("user_ns", "in user mode, all CPUs"),
            _ns("system_ns", "in the kernel, all CPUs"),
            _ns("iowait_ns", "idle while a disk was waited for, all CPUs"),
            _ns("steal_ns", "taken by the hypervisor, all CPUs"),
            _ns("idle_ns", "idle, all CPUs"),
            _C("mem_total_bytes", "int64", "bytes", "memory"),
            _C("mem_available_bytes", "int64", "bytes", "usable without swapping"),
        ),
        _table(
            "host_disk",
            "one row per second and disk",
            _ns("ts_ns", f"end of the interval: {_TS}"),
            _ns("interval_ns", "length of the interval"),
            _C("dev", "int32", "", "kernel dev_t: major << 20 | minor"),
            _C("disk", "string", "", "device name"),
            _C("reads", "int64", "I/Os", "completed reads"),
            _C("writes", "int64", "I/Os", "completed writes"),
            _C("read_bytes", "int64", "bytes", "read"),
            _C("write_bytes", "int64", "bytes", "written"),
            _ns("busy_ns", "time with at least one I/O in flight"),
        ),
        _table(
            "host_net",
            "one row per second and network interface",
            _ns("ts_ns", f"end of the interval: {_TS}"),
            _ns("interval_ns", "length of the interval"),
            _C("interface", "string", "", "interface name"),
            _C("recv_bytes", "int64", "bytes", "received"),
            _C("send_bytes", "int64", "bytes", "sent"),
        ),
    )
}
