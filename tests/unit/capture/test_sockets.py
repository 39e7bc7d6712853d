"""The kernel's list of sockets: cut messages, older kernels, and our own connections."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest

from stackledger.capture import sockdiag, sockets, tcpinfo
from stackledger.capture.counters.namespaces import Namespaces

PAGE = struct.Struct("=8B24I4Q2I2I2IQ3Q2I2Q3II")


def _info(**changes: int) -> bytes:
    """Return a tcp_info in which each member is its own number, but for those given."""
    members = list(range(PAGE.size))[: len(PAGE.unpack(bytes(PAGE.size)))]
    for at, value in changes.items():
        members[int(at[1:])] = value
    return PAGE.pack(*members)


def test_each_column_of_tcp_info_is_its_member() -> None:
    assert PAGE.size == 232
    found = dict(zip(tcpinfo.COLUMNS, tcpinfo.values(_info()), strict=True))
    assert found == {
        "timeouts": 2,
        "rto_ns": 8000,
        "mss": 10,
        "unacked": 12,
        "lost": 14,
        "retransmits": 15,
        "rtt_ns": 23000,
        "rttvar_ns": 24000,
        "ssthresh": 25,
        "cwnd": 26,
        "total_retransmits": 31,
        "pacing_rate": 32,
        "acked_bytes": 34,
        "received_bytes": 35,
        "segments_sent": 36,
        "segments_received": 37,
        "unsent_bytes": 38,
        "min_rtt_ns": 39000,
        "delivery_rate": 42,
        "busy_ns": 43000,
        "peer_limited_ns": 44000,
        "buffer_limited_ns": 45000,
        "sent_bytes": 48,
        "retransmitted_bytes": 49,
        "peer_window_bytes": 53,
    }


def test_what_an_older_kernel_lacks_is_null() -> None:
    whole = dict(zip(tcpinfo.COLUMNS, tcpinfo.values(_info()), strict=True))
    for size in (104, 136, 168, 192):
        found = dict(zip(tcpinfo.COLUMNS, tcpinfo.values(_info()[:size]), strict=True))
        missing = {name for name, value in found.items() if value is None}
        assert {name: value for name, value in found.items() if value is not None} == {
            name: value for name, value in whole.items() if name not in missing
        }
        assert ("sent_bytes" in missing) is True
        assert ("delivery_rate" in missing) is (size < 168)
        assert ("cwnd" in missing) is False
    assert tcpinfo.values(b"") == tcpinfo.NOTHING


def test_what_is_not_measured_yet_is_null() -> None:
    info = _info(m23=0, m25=0x7FFFFFFF, m32=(1 << 64) - 1, m39=0xFFFFFFFF)
    found = dict(zip(tcpinfo.COLUMNS, tcpinfo.values(info), strict=True))
    for name in ("rtt_ns", "rttvar_ns", "ssthresh", "pacing_rate", "min_rtt_ns"):
        assert found[name] is None, name


def _message(*attributes: tuple[int, bytes], state: int = 1, family: int = 2) -> bytes:
    head = struct.pack(
        "=BBBBHH16s16sIQIIIII",
        family,
        state,
        0,
        0,
        socket.htons(80),
        socket.htons(40000),
        bytes([127, 0, 0, 1]).ljust(16, b"\0"),
        bytes([10, 0, 0, 1]).ljust(16, b"\0"),
        0,
        (1 << 63) + 5,
        0,
        3,
        4,
        1000,
        77,
    )
    for kind, content in attributes:
        size = 4 + len(content)
        head += struct.pack("=HH", size, kind) + content + b"\0" * (-size % 4)
    return head


def test_a_message_with_unknown_and_odd_attributes() -> None:
    memory = struct.pack("=9I", *range(9))
    told = sockdiag.decoded(
        _message((99, b"xyz"), (7, memory), (4, b"cubic\0"), (2, b"i" * 5)), socket.IPPROTO_TCP
    )
    assert (told.local, told.remote) == ((b"\x7f\0\0\1", 80), (b"\x0a\0\0\1", 40000))
    assert (told.memory, told.congestion, told.info) == (tuple(range(9)), b"cubic", b"iiiii")
    assert (told.recv_queue, told.send_queue, told.uid, told.inode) == (3, 4, 1000, 77)
    cut = sockdiag.decoded(_message() + struct.pack("=HH", 0, 2), socket.IPPROTO_TCP)
    assert (cut.memory, cut.info) == ((), b"")
    with pytest.raises(struct.error):
        sockdiag.decoded(_message()[:50], socket.IPPROTO_TCP)


def test_a_listener_has_a_backlog_and_no_queues() -> None:
    one = sockdiag.decoded(_message((2, _info()), state=10), socket.IPPROTO_TCP)
    found = dict(zip(sockets._COLUMNS[3:], sockets.columns(one, None), strict=True))
    assert (found["backlog"], found["backlog_limit"]) == (3, 4)
    assert found["recv_queue_bytes"] is None
    assert found["cwnd"] is None
    assert found["cookie"] == 5


def test_a_table_of_nothing_has_the_columns() -> None:
    assert sockets.table([]).num_rows == 0


@pytest.fixture
def sampler() -> Iterator[sockets.Sockets]:
    made = sockets.Sockets(Namespaces())
    yield made
    made.close()


def _own(sampler: sockets.Sockets, at_ns: int, port: int) -> list[dict[str, Any]]:
    pids = [os.getpid()]
    sampler._due_ns = 0
    found = sampler.sample(at_ns, 7, pids, pids)
    assert found is not None
    return [row for row in found.to_pylist() if port in (row["local_port"], row["remote_port"])]


def test_own_connections_as_the_kernel_tells_them(sampler: sockets.Sockets) -> None:
    assert sampler.sample(1, 0, [], []) is None
    with (
        socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=5) as server,
        socket.create_connection(server.getsockname()[:2]) as client,
        socket.create_connection(server.getsockname()[:2]),
    ):
        port = server.getsockname()[1]
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"x" * 101)
            time.sleep(0.05)
            rows = _own(sampler, 2, port)
    (listener,) = [row for row in rows if row["state"] == "LISTEN"]
    assert (listener["backlog"], listener["backlog_limit"]) == (1, 5)
    assert listener["local_addr"] == "::1"
    (mine,) = [row for row in rows if row["sent_bytes"] == 101]
    # The kernel counts the SYN.
    assert (mine["acked_bytes"], mine["pid"], mine["uid"]) == (102, os.getpid(), os.getuid())
    assert mine["remote_port"] == port
    (theirs,) = [row for row in rows if row["recv_queue_bytes"] == 101]
    assert theirs["received_bytes"] == 101
    assert 101 <= theirs["rmem_bytes"] <= theirs["rmem_limit_bytes"]
    assert theirs["local_port"] == port
    assert {row["ts_ns"] for row in rows} == {9}


def test_a_datagram_that_found_no_room_is_a_drop(sampler: sockets.Sockets) -> None:
    sampler.sample(1, 0, [], [])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(53):
            one.sendto(b"x" * 1000, one.getsockname())
        (row,) = _own(sampler, 2, one.getsockname()[1])
        waiting = 0
        one.setblocking(False)
        while True:
            try:
                waiting += len(one.recv(2000)) // 1000
            except BlockingIOError:
                break
    assert row["protocol"] == "udp"
    assert row["drops"] == 53 - waiting > 0
    assert row["rmem_bytes"] > 0.5 * row["rmem_limit_bytes"]


def test_many_sockets_are_listed_less_often(sampler: sockets.Sockets) -> None:
    sampler.sample(1, 0, [], [])
    sampler._due_ns = 5_000_000_000
    assert sampler.sample(4_999_999_999, 0, [], []) is None
    assert sampler.sample(5_000_000_000, 0, [], []) is not None


def test_a_process_that_is_gone_owns_nothing() -> None:
    owners = sockets.Owners()
    with socket.socket() as one:
        inode = os.fstat(one.fileno()).st_ino
        owners.learn({inode}, [os.getpid()], [])
        assert owners.of(inode) == os.getpid()
        owners.learn({inode}, [1], [])
        assert owners.of(inode) is None
