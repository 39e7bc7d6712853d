"""Disks, interfaces, protocols and limits: those that appear, vanish, wrap and begin anew."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from stackledger.capture.counters import disk, limits, net, protocol
from stackledger.capture.counters.namespaces import Namespaces

DISK = "254 0 vda {} 5 800 30 {} 6 1600 40 {} 100 {} 1 2 8 3 4 9"


def _disk(reads: int = 10, writes: int = 20, flying: int = 0, weighted: int = 50) -> disk.Reading:
    return disk.reading(DISK.format(reads, writes, flying, weighted), {"vda"})


def test_every_column_of_a_disk() -> None:
    before = disk.reading("254 0 vda " + " ".join(["0"] * 17), {"vda"})
    (row,) = disk.difference(before, _disk(flying=3), 7)
    assert row == {
        "interval_ns": 7,
        "dev": 254 << 20,
        "disk": "vda",
        "reads": 10,
        "read_merges": 5,
        "read_bytes": 800 * 512,
        "read_ns": 30_000_000,
        "writes": 20,
        "write_merges": 6,
        "write_bytes": 1600 * 512,
        "write_ns": 40_000_000,
        "in_flight": 3,
        "busy_ns": 100_000_000,
        "weighted_ns": 50_000_000,
        "discards": 1,
        "discard_merges": 2,
        "discard_bytes": 8 * 512,
        "discard_ns": 3_000_000,
        "flushes": 4,
        "flush_ns": 9_000_000,
    }


def test_a_disk_that_appears_or_begins_anew_has_no_row() -> None:
    assert disk.difference({}, _disk(), 1) == []
    assert disk.difference(_disk(reads=11), _disk(reads=10), 1) == []
    moved = disk.reading(DISK.format(10, 20, 0, 50).replace("254 0", "254 16"), {"vda"})
    assert disk.difference(_disk(), moved, 1) == []


def test_milliseconds_wrap_at_32_bits() -> None:
    (row,) = disk.difference(_disk(weighted=(1 << 32) - 5), _disk(weighted=10), 1)
    assert row["weighted_ns"] == 15_000_000


@pytest.mark.parametrize("flying", [-1, (1 << 32) - 1])
def test_fewer_than_no_io_under_way_are_none(flying: int) -> None:
    (row,) = disk.difference(_disk(), _disk(reads=11, flying=flying), 1)
    assert row["in_flight"] == 0


def test_an_old_kernel_has_no_discards_and_no_flushes() -> None:
    old = "8 0 sda 1 0 8 1 1 0 8 1 0 1 1"
    (row,) = disk.difference(disk.reading(old, {"sda"}), disk.reading(old, {"sda"}), 1)
    assert "discards" not in row
    assert "flush_ns" not in row
    assert row["reads"] == 0


def test_partitions_and_disks_never_used_have_no_row() -> None:
    text = "8 1 sda1 1 0 8 1 1 0 8 1 0 1 1\n7 0 loop0 0 0 0 0 0 0 0 0 0 0 0\n"
    read = disk.reading(text, {"loop0"})
    assert disk.difference(read, read, 1) == []


HEAD = "Inter-|   Receive\n face |bytes\n"


def test_an_interface_whose_name_touches_its_bytes() -> None:
    found = net.reading(HEAD + "  eth0:123 2 3 4 0 0 0 0 56 7 8 9 0 0 0 0\n")
    assert found["eth0"] == {
        "recv_bytes": 123,
        "recv_packets": 2,
        "recv_errors": 3,
        "recv_drops": 4,
        "send_bytes": 56,
        "send_packets": 7,
        "send_errors": 8,
        "send_drops": 9,
    }


def test_an_interface_that_was_made_anew_under_its_name_has_no_row() -> None:
    one = {("veth0", 7): {"recv_bytes": 10}}
    assert net.difference(one, {("veth0", 9): {"recv_bytes": 99}}, 1) == []
    assert net.difference(one, {("veth0", 7): {"recv_bytes": 9}}, 1) == []
    assert net.difference(one, {}, 1) == []
    (row,) = net.difference(one, {("veth0", 7): {"recv_bytes": 12}}, 1)
    assert row == {"interval_ns": 1, "interface": "veth0", "recv_bytes": 2}


@pytest.mark.parametrize(
    ("mbit", "bps"),
    [(None, None), (-1, None), (0, None), ((1 << 32) - 1, None), (10_000, 10_000_000_000)],
)
def test_the_speed_of_a_link(mbit: int | None, bps: int | None) -> None:
    assert net.speed(mbit) == bps


SNMP = "Tcp: RtoMin MaxConn CurrEstab OutSegs RetransSegs\nTcp: 200 -1 5 {} {}\n"


def test_settings_are_no_counters_and_levels_are_always_told() -> None:
    before = protocol.reading(SNMP.format(100, 7), "", "")
    after = protocol.reading(SNMP.format(140, 7), "TcpExt: New\nTcpExt: 3\n", "")
    assert protocol.difference(before, after) == [
        {"protocol": "Tcp", "name": "CurrEstab", "value": 5},
        {"protocol": "Tcp", "name": "OutSegs", "value": 40},
        {"protocol": "TcpExt", "name": "New", "value": 3},
    ]
    assert [row["name"] for row in protocol.difference(after, before)] == ["CurrEstab"]


def test_version_6_has_one_counter_a_line() -> None:
    told = protocol.reading("", "", "Ip6InReceives \t5\nUdpLite6InErrors 6\nOther 7\n")
    assert told == {("Ip6", "InReceives"): 5, ("UdpLite6", "InErrors"): 6}


def test_own_datagrams_are_counted_in_the_own_namespace() -> None:
    namespaces = Namespaces()
    subject = protocol.Protocols(namespaces)
    subject.rows(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        for _ in range(23):
            one.sendto(b"x", one.getsockname())
            one.recv(1)
    rows = subject.rows(2)["host_protocol"]
    sent = {
        row["name"]: row["value"]
        for row in rows
        if row["protocol"] == "Udp" and row["netns"] == namespaces.own
    }
    assert sent["OutDatagrams"] >= 23
    assert sent["InDatagrams"] >= 23


MOUNTS = r"""
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
28 1 254:0 /a /bind rw - ext4 /dev/vda rw
29 1 8:1 / /with\040blank\134 rw shared:1 - xfs /dev/sda1 rw
30 1 0:40 / /nfs rw - nfs4 server:/x rw
31 1 0:41 / /proc rw - proc proc rw
32 1 0:42 / /fuse rw - fuseblk /dev/sdb1 rw
33 1 0:43 / /pool rw - zfs pool rw
"""
KINDS = "nodev\tproc\nnodev\tzfs\n\text4\n\txfs\n\tfuseblk\n"


def test_each_local_file_system_once_and_none_that_may_hang() -> None:
    found = limits.mounts(MOUNTS.strip("\n"), KINDS)
    assert found == ["/", "/pool", "/with blank\\"]


def test_room_is_counted_as_df_does() -> None:
    told = os.statvfs_result((4096, 4096, 1000, 400, 300, 50, 20, 20, 0, 255))
    space, inodes = limits.room("/", told)
    assert (space["used"], space["capacity"]) == (600 * 4096, 900 * 4096)
    assert (inodes["used"], inodes["capacity"]) == (30, 50)
    without = os.statvfs_result((4096, 4096, 1000, 400, 300, 0, 0, 0, 0, 255))
    assert [row["resource"] for row in limits.room("/", without)] == ["fs_space"]


def test_socket_memory_is_in_bytes_and_without_a_bound_has_none() -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    told = "sockets: used 11\nTCP: inuse 1 orphan 2 tw 3 alloc 1 mem 158\nUDP: inuse 0 mem 4\n"
    bounds = {"tcp_orphans": 100, "tcp_memory": 200, "tcp_time_wait": None}
    found = {row["resource"]: row for row in limits.sockets(told, bounds)}
    assert (found["tcp_orphans"]["used"], found["tcp_orphans"]["capacity"]) == (2, 100)
    assert (found["tcp_memory"]["used"], found["tcp_memory"]["capacity"]) == (
        158 * page,
        200 * page,
    )
    assert found["tcp_time_wait"]["capacity"] is None
    assert found["udp_memory"]["capacity"] is None


def test_limits_of_this_host_have_room() -> None:
    rows: list[dict[str, Any]] = limits.Limits().rows(1)["host_limit"]
    found = {(row["resource"], row["object"]): row for row in rows}
    files = found["open_files", ""]
    assert 0 < files["used"] < files["capacity"]
    for row in rows:
        assert row["used"] >= 0
