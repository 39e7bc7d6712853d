"""TCP's numbers as text, and the connections that were still open at the end."""

from __future__ import annotations

import pyarrow as pa
import pytest

from stackledger.capture import packets, tcp
from stackledger.capture.leftovers import Left, rows_of


def _column(*values: object) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values)])


def test_ipv4_in_ipv6_is_ipv4():
    texts = ["::ffff:10.0.0.1", "fd00::ffff:1", "10.0.0.2", "::1"]
    column = pa.chunked_array([pa.array(texts).dictionary_encode()])
    found = tcp.address(column).to_pylist()
    assert found == ["10.0.0.1", "fd00::ffff:1", "10.0.0.2", "::1"]


def test_who_opened_a_connection_may_be_unknown():
    assert tcp.accepted(_column(0, 1, 2)).to_pylist() == [None, False, True]


def test_no_round_trip_time_is_not_zero():
    assert tcp.nanoseconds(_column(0, 17)).to_pylist() == [None, 17_000]


@pytest.mark.parametrize(
    ("convert", "number", "name"),
    [
        (tcp.state, 1, "ESTABLISHED"),
        (tcp.state, 12, "NEW_SYN_RECV"),
        (tcp.state, 99, "99"),
        (tcp.ended, 4, "refused"),
        (tcp.ended, 8, "open"),
        (tcp.retransmit_kind, 3, "probe"),
        (packets.protocol, 0x0800 << 8 | 6, "tcp"),
        (packets.protocol, 0x86DD << 8 | 17, "udp6"),
        (packets.protocol, 0x0800 << 8 | 99, "ip/99"),
        (packets.protocol, 0x0806 << 8, "arp"),
        (packets.protocol, 0x88CC << 8, "0x88cc"),
        (packets.buffer, 1, "udp_queue"),
        (packets.reset_reason, -1, ""),
    ],
)
def test_names_of_numbers(convert, number, name):
    assert convert(_column(number)).to_pylist() == [name]


def test_the_kernels_reasons_are_read_from_its_formats(tmp_path, monkeypatch):
    folder = tmp_path / "events/skb/kfree_skb"
    folder.mkdir(parents=True)
    (folder / "format").write_text(
        'print fmt: "x %s", __print_symbolic(REC->protocol, { 6, "NOT_IT" }),'
        ' __print_symbolic(REC->reason, { 2, "NOT_SPECIFIED" }, { 3, "NO_SOCKET" })\n'
    )
    monkeypatch.setattr(packets, "_TRACEFS", (tmp_path,))
    packets.reasons.cache_clear()
    try:
        found = packets.drop_reason(_column(3, 2, 65_537)).to_pylist()
    finally:
        packets.reasons.cache_clear()
    assert found == ["NO_SOCKET", "NOT_SPECIFIED", "65537"]


def test_open_connections_are_read_from_the_maps():
    maps = {
        "@tcp": {
            "-5": [1_000, 1_400, 1, 0, 7, 8, "client"],
            "-6": [2_000, 2_000, 2, 300, 9, 9, "server"],
            "-7": [2_500, 2_500, 2, 0, 0, 0, ""],
            "-8": [9_000, 9_000, 1, 0, 7, 8, "after the stop"],
            "-9": [0, 0, 2, 0, 9, 9, "established before"],
        },
        "@ends": {
            key: [1, 2, "::ffff:10.0.0.1", 80, "::ffff:10.0.0.2", 20_480]
            for key in ("-5", "-6", "-7", "-8")
        },
    }
    rows = rows_of("tcp_connection", Left(maps, 5_000, 5_100, {}))["tcp_connection"]
    filtered = rows_of("tcp_connection", Left({**maps, "@filtered": 1}, 5_000, 5_100, {}))
    assert [row[1] for row in filtered["tcp_connection"]] == [-5, -6]
    ends = [2, "::ffff:10.0.0.1", 80, "::ffff:10.0.0.2", 20_480]
    unknown = [-1, -1, -1, -1, 0, 8, 0]
    assert rows == [
        [5_000, -5, 1, 1, *ends, 7, 8, "client", 1_000, 4_000, 400, -1, *unknown],
        [5_000, -6, 1, 2, *ends, 9, 9, "server", 2_000, 3_000, -1, 300, *unknown],
        [5_000, -7, 1, 2, *ends, -1, -1, "", 2_500, 2_500, -1, -1, *unknown],
    ]
