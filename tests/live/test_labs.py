"""The labs' stacks: every endpoint does what it says, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stackledger.errors import StackledgerError
from stackledger.labs import load, programs, servers
from stackledger.labs.node_stack import ITEMS_PATH, SPIN_PATH, NodeStack, node_stack
from stackledger.labs.pgwire import Connection, DatabaseError
from stackledger.labs.stack import MIXED_PATH, ORDERS_PATH, SEARCH_PATH, Stack, stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START_AND_WAIT = """
import sys, time
from pathlib import Path
from stackledger.labs.stack import stack
with stack(throttle_read_iops=200, base=Path(sys.argv[1])):
    print("up", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def running(stack_programs: None) -> Iterator[Stack]:
    with stack(throttle_read_iops=200) as it:
        yield it


@pytest.fixture
def quick(running: Stack) -> Iterator[Stack]:
    """The same stack with its disk at full speed."""
    running.set_read_iops(None)
    yield running
    running.set_read_iops(200)


@pytest.fixture(scope="module")
def node_running(node_programs: None) -> Iterator[NodeStack]:
    with node_stack() as it:
        yield it


def _eventually(true: Callable[[], bool], limit_s: float = 10) -> bool:
    deadline = time.monotonic() + limit_s
    while not (now := true()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return now


def test_every_service_has_its_processes(running):
    pids = running.pids()
    assert list(pids) == ["gateway", "sidecar", "app", "database"]
    names = {
        name: {Path(f"/proc/{pid}/comm").read_text().strip() for pid in found}
        for name, found in pids.items()
    }
    assert names["gateway"] == {"nginx"}
    assert names["sidecar"] == {"haproxy"}
    assert names["database"] == {"postgres"}
    assert len(pids["gateway"]) == 2
    assert len(pids["database"]) > 2


def test_orders_search_and_mixed_read_the_database(quick):
    assert quick.get("/api/orders/123") == {
        "id": "123",
        "customer": "customer 123",
        "note_bytes": 512,
    }
    found = quick.get(SEARCH_PATH)["found"]
    assert len(found) == 5
    assert all("abc" in name for name in found)
    mixed = quick.get("/api/mixed?id=40000")
    assert mixed["order"]["customer"] == f"customer {40000 % 997}"
    assert int(mixed["products"]) in (714, 715)


def test_a_quote_in_a_search_is_only_text(quick):
    assert quick.get("/api/search?q=%27%20OR%20true--") == {"found": []}


def test_unknown_rows_and_paths_are_404(quick):
    result = load.apart(
        quick.url,
        ["/api/orders/0", "/api/orders/x", "/nowhere", "/api/mixed?id=-1"],
        requests=41,
        connections=2,
    )
    assert (result.requests, result.errors) == (41, 41)


def test_busy_burns_ten_milliseconds_of_cpu(quick):
    before = quick.stats().get("/api/busy", {"cpu_ns": 0})
    result = load.apart(quick.url, ["/api/busy"], requests=23, connections=1)
    spent_ns = (quick.stats()["/api/busy"]["cpu_ns"] - before["cpu_ns"]) / 23
    assert 10e6 <= spent_ns <= 10.5e6
    assert result.endpoint("/api/busy").mean_ns > 10e6


def test_sleep_sleeps_ten_milliseconds(quick):
    result = load.apart(quick.url, ["/api/sleep"], requests=23, connections=1)
    stats = quick.stats()["/api/sleep"]
    slept_ns = stats["waited_ns"] / stats["requests"]
    # Longer where the CPU comes late: some milliseconds, and the client sees more of it.
    assert 10e6 <= slept_ns < 100e6
    assert stats["cpu_ns"] / stats["requests"] < 2e6
    assert slept_ns < result.endpoint("/api/sleep").mean_ns < slept_ns + 50e6


def test_lock_waits_for_the_other_thread_as_long_as_it_says(quick):
    load.apart(quick.url, ["/api/lock"], rate_hz=50, duration_s=0.5)
    before = quick.stats()["/api/lock"]
    result = load.apart(quick.url, ["/api/lock"], rate_hz=50, requests=101, connections=4)
    after = quick.stats()["/api/lock"]
    assert after["requests"] - before["requests"] == 101
    waited_ns = (after["waited_ns"] - before["waited_ns"]) / 101
    # Held 20 of every 22 ms: a request that comes at random waits 9 ms, and longer where
    # the holder, or who waits, does not get a CPU at once.
    assert 5e6 < waited_ns < 44e6
    assert 0.3 < waited_ns / result.endpoint("/api/lock").mean_ns < 1


def test_exactly_997_requests_are_counted_by_the_application(quick):
    before = {name: one["requests"] for name, one in quick.stats().items()}
    result = load.apart(
        quick.url, ["5:/health", ORDERS_PATH, MIXED_PATH], requests=997, connections=8
    )
    after = {name: one["requests"] for name, one in quick.stats().items()}
    served = {name: count - before.get(name, 0) for name, count in after.items()}
    served.pop("/stats")
    assert (result.requests, result.errors) == (997, 0)
    assert {name: count for name, count in served.items() if count} == {
        one.endpoint: one.requests for one in result.endpoints
    }


def test_throttled_orders_take_clearly_longer(running):
    running.set_read_iops(200)
    running.drop_cache()
    slow = load.apart(running.url, [ORDERS_PATH], requests=601, connections=8, seed=7)
    running.set_read_iops(None)
    running.drop_cache()
    fast = load.apart(running.url, [ORDERS_PATH], requests=601, connections=8, seed=8)
    running.set_read_iops(200)
    assert slow.errors == fast.errors == 0
    assert 100 < slow.rate_hz < 300
    assert slow.endpoint("/api/orders/{id}").mean_ns > 20e6
    assert fast.endpoint("/api/orders/{id}").mean_ns < 10e6


def _disk_reads(running: Stack) -> int:
    """Return the database's bytes read from storage, by the kernel's own count."""
    total = 0
    for pid in running.pids()["database"]:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
        fields = dict(line.split(": ") for line in lines)
        total += int(fields["read_bytes"])
    return total


def test_cold_rows_come_from_the_disk_and_warm_ones_do_not(quick):
    # The backends exist already, so that none takes its count with it.
    load.apart(quick.url, [ORDERS_PATH], requests=101, connections=1, seed=3)
    quick.drop_cache()
    before = _disk_reads(quick)
    load.apart(quick.url, [ORDERS_PATH], requests=499, connections=1, seed=4)
    cold = _disk_reads(quick) - before
    quick.warm_cache()
    before = _disk_reads(quick)
    load.apart(quick.url, [ORDERS_PATH], requests=499, connections=1, seed=5)
    warm = _disk_reads(quick) - before
    assert cold >= 499 * 8192 * 0.95
    assert warm <= cold * 0.02


def test_an_open_loop_keeps_its_rate(quick):
    result = load.apart(quick.url, ["/health"], rate_hz=200, duration_s=2, connections=4)
    assert 398 <= result.requests <= 402
    assert abs(result.rate_hz - 200) < 2


def test_connections_are_kept_alive_all_along(quick):
    load.apart(quick.url, ["/health"], requests=211, connections=1)
    before = _connections_opened()
    load.apart(quick.url, ["/health"], requests=2003, connections=1)
    # One by the load itself; other programs of this host may open some.
    assert 1 <= _connections_opened() - before < 200


def _connections_opened() -> int:
    lines = Path("/proc/net/snmp").read_text().splitlines()
    names, values = (line.split() for line in lines if line.startswith("Tcp:"))
    return int(values[names.index("ActiveOpens")])


def test_the_database_client_reports_an_error_and_goes_on(running):
    address = ("127.0.0.1", running.ports["database"])
    connection = Connection(address, user="lab", database="postgres")
    with pytest.raises(DatabaseError, match="division by zero"):
        connection.query("SELECT 1 / 0")
    with pytest.raises(DatabaseError, match="invalid input syntax"):
        connection.execute("SELECT $1::int", "x")
    assert connection.execute("SELECT $1::int + 1, NULL, ''", "41") == [("42", None, "")]
    with pytest.raises(DatabaseError, match="permission denied"):
        connection.query("DELETE FROM orders")
    connection.close()
    with pytest.raises(DatabaseError, match=r"pg_hba\.conf"):
        Connection(address, user="postgres", database="postgres")


def test_over_a_unix_socket_the_application_makes_no_tcp_connection(stack_programs, ground):
    with stack(unix_socket=True, base=ground.folder) as it:
        assert load.apart(it.url, [ORDERS_PATH], requests=211, connections=4).errors == 0
        port = f"{it.ports['database']:04X}"
        lines = Path("/proc/net/tcp").read_text().splitlines()
        # Established ones (01): those of the ready checks linger in TIME_WAIT.
        remote = [line.split()[2] for line in lines if line.split()[3] == "01"]
        assert not [one for one in remote if one.endswith(f":{port}")]
        with pytest.raises(StackledgerError, match="without a throttled disk"):
            it.set_read_iops(100)
        pids = [pid for found in it.pids().values() for pid in found]
        assert len(ground.processes()) >= len(pids)
    assert ground.left() == []
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_nothing_is_left_after_an_exception(stack_programs, ground):
    def interrupted() -> None:
        with _throttled(ground.folder) as it:
            assert it.limit.group.exists()
            assert len(ground.left()) > 8
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        interrupted()
    assert ground.left() == []


def _throttled(folder: Path):
    return stack(throttle_read_iops=200, base=folder)


@pytest.mark.parametrize("service", ["gateway", "database"])
def test_an_occupied_port_is_named_and_nothing_is_left(stack_programs, ground, service):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(StackledgerError, match=f"{service}'s port .*{port}"),
            stack(throttle_read_iops=200, ports={service: port}, base=ground.folder),
        ):
            pytest.fail("it started")
    assert ground.left() == []


def test_a_missing_program_is_named_with_its_package(monkeypatch, ground):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(programs, "EXTRA_FOLDERS", ())
    with pytest.raises(StackledgerError) as caught, stack(base=ground.folder):
        pytest.fail("it started")
    assert "nginx, haproxy" in caught.value.value
    assert caught.value.hint.startswith("apt-get install --no-install-recommends nginx-light")
    assert ground.left() == []


def test_the_last_words_of_a_server_that_dies_are_quoted(stack_programs, monkeypatch, ground):
    broken = ground.folder / "bin" / "haproxy"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho first; echo cannot think today >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:{os.environ['PATH']}")
    with pytest.raises(StackledgerError) as caught, _throttled(ground.folder):
        pytest.fail("it started")
    assert caught.value.what == "the sidecar did not start"
    assert caught.value.value == "cannot think today"
    assert ground.left() == [str(broken.parent)]


def test_a_server_that_is_never_ready_has_a_time_limit(ground):
    argv = ["sh", "-c", "echo still thinking; sleep 60 & wait"]
    with (
        pytest.raises(StackledgerError, match=r"after 1 s: still thinking"),
        servers.server("thinker", argv, folder=ground.folder) as it,
    ):
        servers.wait_until(lambda: False, it, limit_s=1)
    assert not [pid for pid in it.pids() if Path(f"/proc/{pid}").exists()]


def _started(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, str(folder)],
        env={**os.environ, **servers.module_path()},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.mark.parametrize("after_s", [0.0, 0.3, 1.0, 2.2])
def test_ctrl_c_while_it_starts_leaves_nothing(stack_programs, ground, after_s):
    lab = _started(ground.folder)
    assert _eventually(lambda: bool(ground.processes()))
    time.sleep(after_s)
    lab.send_signal(signal.SIGINT)
    lab.communicate(timeout=30)
    assert lab.returncode != 0
    assert ground.left(lab.pid) == []


def test_killed_outright_its_servers_end_and_the_next_lab_removes_the_rest(stack_programs, ground):
    lab = _started(ground.folder)
    assert lab.stdout.readline() == "up\n"
    assert len(ground.processes()) > 8
    lab.kill()
    lab.communicate()
    assert _eventually(lambda: ground.processes() == [])
    (folder,) = ground.folder.iterdir()
    os.utime(folder, (0, 0))
    with _throttled(ground.folder) as it:
        assert list(ground.folder.iterdir()) == [it.folder]
    assert ground.left(lab.pid) == []


def test_a_living_labs_folder_is_left_alone(stack_programs, ground):
    with stack(base=ground.folder) as first:
        os.utime(first.folder, (0, 0))
        with stack(base=ground.folder) as second:
            assert first.get("/health") == second.get("/health") == {"ok": True}
        assert first.get("/api/orders/1")["id"] == "1"


def test_node_items_come_from_redis_and_are_counted(node_running):
    assert list(node_running.pids()) == ["gateway", "app", "cache"]
    assert node_running.get("/api/items/77") == {"id": "77", "value": "value 77"}
    before = node_running.stats()["/api/items/{id}"]["requests"]
    result = load.apart(node_running.url, [ITEMS_PATH], requests=997, connections=8)
    assert (result.requests, result.errors) == (997, 0)
    assert node_running.stats()["/api/items/{id}"]["requests"] - before == 997
    assert load.apart(node_running.url, ["/api/items/0"], requests=3).errors == 3


def test_node_spin_burns_ten_milliseconds_of_cpu(node_running):
    spent_us = sorted(node_running.get(SPIN_PATH)["cpu_us"] for _ in range(11))
    assert spent_us[0] >= 10_000
    assert spent_us[5] <= 10_500
    result = load.apart(node_running.url, [SPIN_PATH], requests=23, connections=1)
    assert result.endpoint(SPIN_PATH).mean_ns > 10e6


def test_the_node_stack_leaves_nothing(node_programs, ground):
    with node_stack(base=ground.folder) as it:
        assert it.get("/health") == {"ok": True}
        assert len(ground.processes()) == 4
    assert ground.left() == []


def test_the_node_stack_leaves_nothing_when_it_fails(node_programs, ground):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(StackledgerError, match=f"gateway's port .*{port}"),
            node_stack(ports={"gateway": port}, base=ground.folder),
        ):
            pytest.fail("it started")
    assert ground.left() == []
