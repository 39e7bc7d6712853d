"""Whose an I/O is: its thread's, or of those that waited for what the kernel submitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

    Opened = Callable[..., duckdb.DuckDBPyConnection]

MS = 1_000_000
DEV = 8 << 20
KWORKER = 77


def request(sock: int, begin_ms: int, end_ms: int, disk_ms: float, **more: Any) -> dict[str, Any]:
    told = {"sock": sock, "ts_ns": begin_ms * MS, "recv_ts_ns": begin_ms * MS, "tid": sock}
    told |= {"wall_ns": (end_ms - begin_ms) * MS, "disk_ns": int(disk_ms * MS), "endpoint": "GET /"}
    return told | more


def io(at_ms: float, tid: int | None = KWORKER, **more: Any) -> dict[str, Any]:
    """Return a read of 8 KiB that completed then, a millisecond after it was submitted."""
    told = {"ts_ns": int(at_ms * MS), "pid": tid, "tid": tid, "comm": "kworker/u8:1", "dev": DEV}
    return told | {"rwbs": "RA", "bytes": 8192, "device_ns": MS} | more


def by_request(connection: duckdb.DuckDBPyConnection) -> dict[int, tuple[int, int]]:
    """Return I/Os, and of those the given ones, by socket."""
    rows = connection.execute("SELECT sock, ios, given_ios FROM request_io").fetchall()
    return {sock: (ios, given) for sock, ios, given in rows}


def test_each_of_those_released_together_gets_one(capture: Opened) -> None:
    blocked = [request(n, 10 + n, 110 + n, 95) for n in range(1, 17)]
    released = [io(100 + n / 100) for n in range(16)]
    found = by_request(capture(request=blocked, block_io=released, assembled=False))
    assert found == dict.fromkeys(range(1, 17), (1, 1))


def test_one_whose_own_io_explains_its_waiting_gets_none(capture: Opened) -> None:
    served, blocked = request(1, 10, 60, 1.5), request(2, 10, 60, 40)
    rows = [io(20, tid=1, comm="postgres"), io(50)]
    found = by_request(capture(request=[served, blocked], block_io=rows, assembled=False))
    assert found == {1: (1, 0), 2: (1, 1)}


def test_one_that_waited_longer_gets_what_is_left(capture: Opened) -> None:
    short, long = request(1, 10, 40, 20), request(2, 10, 110, 80)
    rows = [io(at) for at in (30, 50, 70, 90, 100)]
    found = by_request(capture(request=[short, long], block_io=rows, assembled=False))
    assert found == {1: (1, 1), 2: (4, 4)}


def test_two_that_waited_alike_share_what_is_left(capture: Opened) -> None:
    alike = [request(1, 1, 1000, 900), request(2, 1, 1001, 900)]
    rows = [io(10 + n) for n in range(800)]
    found = by_request(capture(request=alike, block_io=rows, assembled=False))
    assert sum(ios for ios, _ in found.values()) == 800
    assert abs(found[1][0] - found[2][0]) <= 4


def test_what_nobody_waited_for_stays_nobodys(capture: Opened) -> None:
    before, after = request(1, 500, 600, 50), request(2, 900, 990, 0)
    rows = [io(100), io(700), io(950)]
    connection = capture(request=[before, after], block_io=rows, assembled=False)
    assert by_request(connection) == {}
    assert connection.execute("SELECT count(*) FROM ownerless_io").fetchone() == (3,)


def test_what_nobody_awaits_is_no_candidate(capture: Opened) -> None:
    """Write-back and the device's own flushes hold no request up."""
    rows = [io(50, rwbs="W"), io(51, rwbs="FF", bytes=0)]
    found = by_request(capture(request=[request(1, 10, 60, 40)], block_io=rows, assembled=False))
    assert found == {}


def test_an_io_whose_completion_was_missed_is_its_threads(capture: Opened) -> None:
    rows = [io(20, tid=1, comm="postgres", device_ns=None)]
    found = by_request(capture(request=[request(1, 10, 60, 40)], block_io=rows, assembled=False))
    assert found == {1: (1, 0)}


def test_a_synced_write_is_its_waiters_and_no_write_back_too(capture: Opened) -> None:
    """Of three writes by one kernel thread a request waited for one: the others' pages tell."""
    tables = {
        "request": [request(1, 10, 60, 40, pid=1), request(2, 300, 310, 0, pid=2)],
        "block_io": [io(50, rwbs="WS"), io(400, rwbs="W"), io(401, rwbs="W")],
        "process": [{"pid": KWORKER, "ppid": 2, "comm": "kworker/u8:1"}],
        "page_cache": [{"pid": 2, "inode": 5, "dirtied": 4}],
        "writeback": [{"pid": KWORKER, "comm": "kworker/u8:1", "inode": 5, "pages": 4}],
    }
    connection = capture(**tables, assembled=False)
    used = connection.execute("SELECT sock, disk_ios FROM cost_own ORDER BY sock").fetchall()
    assert used == [(1, 1), (2, 2)]
