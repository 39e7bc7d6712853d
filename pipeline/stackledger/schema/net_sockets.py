"""The table of sockets, as the kernel lists them."""

from __future__ import annotations

from stackledger.schema.model import TS, Column, Table, ns, table


def _bytes(name: str, meaning: str) -> Column:
    return Column(name, "int64", "bytes", meaning)


TABLES: tuple[Table, ...] = (
    table(
        "socket",
        "one row per sample and TCP or UDP socket; NULL: not of this kind of socket or kernel",
        ns("ts_ns", f"when it was listed: {TS}"),
        ns("interval_ns", "since the sample before: seconds, more where there are many sockets"),
        Column("netns", "int64", "", "inode of the network namespace"),
        Column("protocol", "string", "", "tcp or udp"),
        Column("family", "int16", "", "2 IPv4, 10 IPv6"),
        Column("state", "string", "", "ESTABLISHED, LISTEN, ... without TIME_WAIT: host_limit"),
        Column("local_addr", "string", "", "local IP address"),
        Column("local_port", "int32", "", "local port"),
        Column("remote_addr", "string", "", "peer's IP address"),
        Column("remote_port", "int32", "", "peer's port"),
        Column("cookie", "int64", "", "the kernel's number of the socket, never given out again"),
        Column("inode", "int64", "", "of its descriptors; 0: none has it open"),
        Column("uid", "int32", "", "user that made it"),
        Column("pid", "int32", "", "a process that has it open, NULL where not found yet"),
        _bytes("recv_queue_bytes", "received, not read yet; TCP listeners: NULL"),
        _bytes("send_queue_bytes", "sent by the program, not acknowledged; TCP listeners: NULL"),
        Column("backlog", "int64", "connections", "TCP listeners: waiting to be accepted"),
        Column("backlog_limit", "int64", "connections", "TCP listeners: most that may wait"),
        _bytes("rmem_bytes", "receive buffer in use, the kernel's overhead included"),
        _bytes("rmem_limit_bytes", "receive buffer's present limit"),
        _bytes("wmem_bytes", "send buffer in use: queued, overhead included"),
        _bytes("wmem_limit_bytes", "send buffer's present limit"),
        Column("drops", "int64", "packets", "since it was made: found no room in a buffer"),
        ns("rtt_ns", "smoothed round-trip time"),
        ns("rttvar_ns", "its mean deviation"),
        ns("min_rtt_ns", "smallest round-trip time"),
        ns("rto_ns", "time to the next retransmission"),
        Column("cwnd", "int64", "segments", "congestion window"),
        Column("ssthresh", "int64", "segments", "slow-start threshold; NULL: not set"),
        Column("mss", "int64", "bytes", "segment size when sending"),
        Column("unacked", "int64", "segments", "in flight"),
        Column("lost", "int64", "segments", "in flight, believed lost"),
        Column("retransmits", "int64", "segments", "in flight, sent again"),
        Column("timeouts", "int64", "events", "unanswered timeouts in a row"),
        Column("total_retransmits", "int64", "segments", "sent again since it was made"),
        Column("segments_sent", "int64", "segments", "sent since it was made"),
        Column("segments_received", "int64", "segments", "received since it was made"),
        _bytes("sent_bytes", "sent since it was made, retransmissions included"),
        _bytes("retransmitted_bytes", "sent again since it was made"),
        _bytes("acked_bytes", "acknowledged by the peer since it was made; a SYN of ours is one"),
        _bytes("received_bytes", "received since it was made"),
        _bytes("unsent_bytes", "given by the program, not sent yet"),
        _bytes("peer_window_bytes", "what the peer has room for"),
        Column("pacing_rate", "int64", "bytes/s", "at which it may send; NULL: not paced"),
        Column("delivery_rate", "int64", "bytes/s", "at which the peer last acknowledged"),
        ns("busy_ns", "since it was made: with something to send"),
        ns("peer_limited_ns", "part of busy_ns: held back by the peer's window"),
        ns("buffer_limited_ns", "part of busy_ns: held back by its send buffer"),
        Column("congestion", "string", "", "congestion control: cubic, bbr, ..."),
    ),
)
