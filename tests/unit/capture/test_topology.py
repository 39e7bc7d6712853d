"""What is read from /proc and /sys, against what else knows it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from stackledger.capture import topology
from stackledger.capture.clock import anchor
from stackledger.capture.program import cgroup2_mounts
from stackledger.manifest import Anchor
from stackledger.schema import TABLES


def test_the_clocks_agree_with_each_other() -> None:
    first = anchor()
    time.sleep(0.01)
    second = anchor()
    assert first.error_ns < 1_000_000
    assert abs(second.offset_ns - first.offset_ns) < 50_000_000
    assert abs(first.realtime_ns - time.time_ns()) < 5_000_000_000


def test_own_listening_sockets_are_found_in_both_families(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as four,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        unix.bind(str(tmp_path / "with space.sock"))
        unix.listen()
        found = {(one.family, one.address, one.port): one for one in topology.listeners()}
        mine = [
            found["tcp", "127.0.0.1", four.getsockname()[1]],
            found["tcp6", "::1", six.getsockname()[1]],
            found["unix", str(tmp_path / "with space.sock"), 0],
        ]
    assert {one.pid for one in mine} == {os.getpid()}


def test_the_process_table_knows_this_process_once() -> None:
    known: set[tuple[int, int]] = set()
    clock = anchor()
    rows = topology.processes(clock, known).to_pylist()
    (own,) = [row for row in rows if row["pid"] == os.getpid()]
    assert own["ppid"] == os.getppid()
    assert own["uid"] == os.getuid()
    assert Path(own["exe"]).samefile(sys.executable)
    assert abs(own["start_ts_ns"] / 1e9 - psutil.Process().create_time()) < 2
    again = topology.processes(clock, known).to_pylist()
    assert os.getpid() not in {row["pid"] for row in again}
    assert list(own) == [column.name for column in TABLES["process"].columns]


def test_a_process_with_a_nasty_name_and_arguments() -> None:
    script = (
        "import pathlib, sys, time; pathlib.Path('/proc/self/comm').write_bytes(b'a) R 1 (\\xff');"
        "print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, "x" * 1000, b"\xff"], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            rows = topology.processes(anchor(), set()).to_pylist()
        finally:
            child.kill()
    (row,) = [row for row in rows if row["pid"] == child.pid]
    assert row["comm"] == "a) R 1 (\ufffd"
    assert row["ppid"] == os.getpid()
    assert len(row["cmdline"].encode()) <= 256


def test_disks_are_whole_disks_with_a_size() -> None:
    for disk in topology.disks():
        assert disk.size_bytes > 0
        assert disk.dev == disk.major << 20 | disk.minor
        assert Path("/sys/block", disk.name.replace("/", "!")).is_dir()


def test_cgroups_hold_our_own() -> None:
    own = topology._own_cgroup(Path("/proc/self"))
    assert own in {group.path for group in topology.cgroups()} or own == ""


def test_an_anchor_s_offset() -> None:
    assert Anchor(boottime_ns=5, realtime_ns=105, error_ns=0).offset_ns == 100


@pytest.mark.parametrize(
    "tail", ["a\nb", "x\n0: 0 0 zz 0 1 01 1 p", "x\n1 2 3 4", "x\x85y\u2028z\x0b", "\x1b[2J"]
)
def test_a_unix_path_may_hold_the_end_of_a_line(tail: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "s") + tail)
        unix.listen()
        found = {one.address for one in topology.listeners() if one.pid == os.getpid()}
    assert any(address.startswith(str(tmp_path / "s")) for address in found)


@pytest.mark.parametrize("name", ["\x85", "\u2028a:b", "\x0b\x0c\x1c", "\x1b[2J", "=1+1"])
def test_a_cgroup_may_have_any_name(name: str) -> None:
    mounts = cgroup2_mounts()
    if os.geteuid() != 0 or not mounts:
        pytest.skip("needs root and version 2 of cgroups")
    folder = mounts[0] / f"stackledger-{os.getpid()}-{name}"
    folder.mkdir()
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        (folder / "cgroup.procs").write_text(str(sleeper.pid))
        paths = {one.path for one in topology.cgroups()}
        rows = topology.processes(anchor(), set()).to_pylist()
    finally:
        sleeper.kill()
        sleeper.wait()
        folder.rmdir()
    assert f"/{folder.name}" in paths
    assert {row["cgroup"] for row in rows if row["pid"] == sleeper.pid} == {f"/{folder.name}"}
