"""Tables of the network: TCP connections, retransmissions, resets, drops, full buffers."""

from __future__ import annotations

from stackledger.schema.model import TS, Column, Table, ns, table

_SOCK = Column("sock", "int64", "", "kernel address of the socket, as a signed integer")
_NETNS = Column("netns", "int64", "", "network namespace: the inode of /proc/PID/ns/net")
_ENDPOINTS = (
    Column("family", "int16", "", "2 IPv4, 10 IPv6 (which may carry IPv4)"),
    Column("local_addr", "string", "", "local IP address"),
    Column("local_port", "int32", "", "local port"),
    Column("remote_addr", "string", "", "peer's IP address"),
    Column("remote_port", "int32", "", "peer's port"),
)
_OWNER = (
    Column("pid", "int32", "", "process that opened or accepted the connection, NULL if unknown"),
    Column("tid", "int32", "", "thread that did"),
    Column("comm", "string", "", "name of that thread, empty if unknown"),
)
_SECOND = (
    ns("ts_ns", f"end of the second: {TS}"),
    ns("interval_ns", "length of the interval"),
)

TABLES: tuple[Table, ...] = (
    table(
        "tcp_connection",
        "one row per end of a TCP connection (both, where both are on this host), when it closes",
        ns("ts_ns", f"close, or the end of the capture: {TS}"),
        _SOCK,
        _NETNS,
        Column("accepted", "bool", "", "true: accepted here; false: opened here; NULL: unknown"),
        *_ENDPOINTS,
        *_OWNER,
        ns("opened_ts_ns", f"SYN sent, or (accepted) established; NULL before the capture: {TS}"),
        ns("dur_ns", "from opened_ts_ns to ts_ns"),
        ns("connect_ns", "opened here: from the SYN to established; NULL if it never was"),
        ns("accept_ns", "accepted: established, waiting for the program to accept it"),
        Column("send_bytes", "int64", "bytes", "payload sent, each byte once; NULL while open"),
        Column("recv_bytes", "int64", "bytes", "payload received in order; NULL while open"),
        Column("segs_out", "int64", "segments", "segments sent, also without payload and again"),
        Column("retransmits", "int64", "segments", "segments sent again"),
        ns("rtt_ns", "the kernel's smoothed round-trip time at the end"),
        Column(
            "ended",
            "string",
            "",
            "closed, reset_sent, reset_received, refused, timed_out, given_up (closed while"
            " connecting), failed (see error), open (when the capture ended)",
        ),
        Column("error", "int16", "errno", "the socket's error when it ended, 0 for none"),
    ),
    table(
        "tcp_retransmit",
        "one row per packet that TCP sent again",
        ns("ts_ns", f"when it was: {TS}"),
        _SOCK,
        _NETNS,
        *_ENDPOINTS,
        *_OWNER,
        Column("state", "string", "", "TCP state; NEW_SYN_RECV: a listener's SYN-ACK"),
        Column("kind", "string", "", "timeout, fast, probe (of the tail); empty: told at the end"),
        Column("segs", "int32", "segments", "segments in the packet, as RetransSegs counts them"),
        Column("bytes", "int32", "bytes", "payload in the packet"),
    ),
    table(
        "tcp_reset",
        "one row per reset that was sent, or received for a socket",
        ns("ts_ns", f"when it was: {TS}"),
        Column("sock", "int64", "", "as in tcp_connection; 0: no socket, a port without listener"),
        _NETNS,
        Column("sent", "bool", "", "true: sent from here; false: received"),
        *_ENDPOINTS,
        *_OWNER,
        Column("state", "string", "", "TCP state of the socket, CLOSE where a thread aborted it"),
        Column("reason", "string", "", "sent: the kernel's name for the reason; else empty"),
    ),
    table(
        "tcp_socket",
        "one row per end of a TCP connection that sent or received, when it first did",
        ns("ts_ns", f"first sight: {TS}"),
        _SOCK,
        _NETNS,
        *_ENDPOINTS,
        Column("pid", "int32", "", "process that first used it"),
        Column("tid", "int32", "", "thread that did"),
        Column("comm", "string", "", "name of that thread"),
        whole=True,
    ),
    table(
        "tcp_io",
        "one row per second, process, TCP connection end and thread name",
        *_SECOND,
        Column("pid", "int32", "", "process that sent or received"),
        _SOCK,
        ns("conn_ts_ns", f"(sock, this) is a row of tcp_socket: {TS}"),
        Column("comm", "string", "", "name of the thread"),
        Column("calls", "int64", "events", "sends and receives"),
        Column("send_bytes", "int64", "bytes", "payload given to the connection"),
        Column("recv_bytes", "int64", "bytes", "payload taken from it"),
    ),
    table(
        "packet_drop",
        "one row per second, network namespace, reason, protocol, local port and interface",
        *_SECOND,
        _NETNS,
        Column("reason", "string", "", "the kernel's name for the reason"),
        Column("protocol", "string", "", "tcp, udp, icmp, …, with a 6 over IPv6; arp; 0x… others"),
        Column("local_port", "int32", "", "port of the socket it was of or for, 0 for none"),
        Column("interface", "string", "", "network interface it was on, empty for none"),
        Column("packets", "int64", "packets", "thrown away"),
        Column("bytes", "int64", "bytes", "their length"),
    ),
    table(
        "sock_buffer",
        "one row per second, kind of buffer, protocol and port",
        *_SECOND,
        Column(
            "buffer",
            "string",
            "",
            "what was full: udp_queue, queue (raw, packet, netlink), send_memory, recv_memory",
        ),
        Column("ip_protocol", "int16", "", "6 TCP, 17 UDP, 0 unknown"),
        Column("local_port", "int32", "", "udp_queue: the receiver's port, else 0"),
        Column("events", "int64", "events", "times that there was no room"),
        Column("max_used_bytes", "int64", "bytes", "most that the buffer held, 0 if not told"),
        Column("max_limit_bytes", "int64", "bytes", "its limit, 0 if not told"),
    ),
)
