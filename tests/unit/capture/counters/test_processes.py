"""Per-process counters: hostile names, threads, pids given out again, and real work."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from stackledger.capture.counters import procfiles
from stackledger.capture.counters.process import Processes, _Known, difference
from stackledger.capture.counters.procfiles import Thread

STAT = (
    b"77 (a) R 1 (\xff) S 28214 28214 26428 0 -1 4194304 98 5 3 7 11 13 0 0 20 0 4 0 "
    b"1193317 3133440 409 18446744073709551615\n"
)


def test_a_hostile_name_does_not_move_the_columns() -> None:
    told = procfiles.stat(STAT)
    assert (told.comm, told.state) == ("a) R 1 (\ufffd", "S")
    assert (told.start_ticks, told.threads) == (1193317, 4)
    assert told.rss_bytes == 409 * os.sysconf("SC_PAGE_SIZE")
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    assert told.counts == {
        "user_ns": 11 * tick,
        "system_ns": 13 * tick,
        "minor_faults": 98,
        "major_faults": 3,
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"995165 151625 2\n", {"cpu_ns": 995165, "runq_ns": 151625}),
        (b"0 0 0\n", {}),
        (b"", {}),
    ],
)
def test_a_scheduler_that_keeps_no_times_tells_none(line: bytes, expected: dict[str, int]) -> None:
    assert procfiles.schedstat(line) == expected


def test_a_name_in_status_forges_no_switches() -> None:
    status = (
        b"Name:\tx\\nvoluntary_ctxt_switches:\t999\nState:\tS\n"
        b"voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t6\n"
    )
    assert procfiles.switches(status) == {"voluntary_switches": 5, "involuntary_switches": 6}
    assert procfiles.switches(b"Name:\tx\n") == {}


def _thread(start: int, cpu_ns: int) -> Thread:
    return Thread(start, b"", {"cpu_ns": cpu_ns})


def test_threads_that_end_and_begin() -> None:
    before = _Known(1, 1, b"", {}, {7: _thread(1, 100), 8: _thread(1, 1000)})
    after = _Known(2, 1, b"", {}, {7: _thread(1, 130), 9: _thread(5, 4)})
    assert difference(before, after) == {"cpu_ns": 34}
    reused = _Known(2, 1, b"", {}, {7: _thread(1, 100), 8: _thread(6, 1001)})
    assert difference(before, reused) == {"cpu_ns": 1001}


def test_nothing_done_is_no_row() -> None:
    one = _Known(1, 1, b"", {"user_ns": 5}, {7: _thread(1, 100)})
    assert difference(one, one) is None


def _own(rows: list[dict[str, Any]], pid: int) -> dict[str, Any]:
    (row,) = [row for row in rows if row["pid"] == pid]
    return row


def test_own_work_in_a_thread_is_counted() -> None:
    subject = Processes()
    assert subject.rows(1)["process_stat"] == []

    def work() -> None:
        with Path("/dev/zero").open("rb", buffering=0) as zero:
            for _ in range(101):
                zero.read(1000)
        deadline = time.thread_time() + 0.2
        while time.thread_time() < deadline:
            pass

    stay = threading.Event()
    thread = threading.Thread(target=lambda: (work(), stay.wait()))
    used = time.process_time()
    thread.start()
    while time.process_time() - used < 0.2:
        time.sleep(0.01)
    time.sleep(0.05)
    row = _own(subject.rows(500_000_001)["process_stat"], os.getpid())
    used = time.process_time() - used
    threads = len(list(Path("/proc/self/task").iterdir()))
    stay.set()
    thread.join()
    assert row["cpu_ns"] == pytest.approx(used * 1e9, rel=0.1)
    assert row["read_calls"] >= 101
    assert row["read_call_bytes"] >= 101_000
    assert row["voluntary_switches"] > 0
    assert row["threads"] == threads
    assert row["interval_ns"] == 500_000_000
    assert row["open_fds"] == pytest.approx(len(list(Path("/proc/self/fd").iterdir())), abs=2)


def test_a_new_process_counts_from_its_start_and_an_idle_one_has_no_row() -> None:
    subject = Processes()
    subject.rows(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    script = "import sys, time; sum(range(3 * 10**6)); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            time.sleep(0.1)
            now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            row = _own(subject.rows(now_ns)["process_stat"], child.pid)
            later = subject.rows(now_ns + 1)["process_stat"]
        finally:
            child.kill()
    assert row["cpu_ns"] > 20_000_000
    assert row["cpu_ns"] <= row["interval_ns"] + 20_000_000
    assert now_ns - row["start_ts_ns"] == row["interval_ns"]
    assert child.pid not in {row["pid"] for row in later}


def test_threads_at_rest_are_not_looked_at_and_lose_nothing() -> None:
    script = """
import sys, threading, time
go = threading.Event()
def work():
    go.wait()
    end = time.thread_time() + 0.05
    while time.thread_time() < end: pass
    time.sleep(60)
for _ in range(5): threading.Thread(target=work, daemon=True).start()
print(flush=True)
sys.stdin.readline()
go.set()
time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        try:
            time.sleep(0.3)
            subject = Processes()
            subject.rows(1)
            idle = subject.rows(2)["process_stat"]
            child.stdin.write(b"\n")
            child.stdin.flush()
            time.sleep(1)
            row = _own(subject.rows(1_000_000_001)["process_stat"], child.pid)
        finally:
            child.kill()
    assert child.pid not in {one["pid"] for one in idle}
    assert row["interval_ns"] == 1_000_000_000
    assert row["threads"] == 6
    assert row["cpu_ns"] == pytest.approx(250_000_000, rel=0.2, abs=20_000_000)
