"""Samples, functions and rings: as many as there were, with the right names."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import pytest

from stackledger.capture.symbols import read_functions

from .sched_tools import traced

pytestmark = pytest.mark.live

HZ = 99
# The C library by a path that leads to it from a chroot too.
LIBC = f"/proc/{os.getpid()}/root" + next(
    line.split()[5]
    for line in Path("/proc/self/maps").read_text().splitlines()
    if "/libc.so" in line or "/libc-" in line
)


def test_samples_are_the_cpu_time(tmp_path):
    script = """
cpu = min(os.sched_getaffinity(0)); os.sched_setaffinity(0, {cpu})
def stat():
    words = read("/proc/stat").splitlines()[0].split()[1:]
    return sum(map(int, words[:8])), int(words[3]) + int(words[4])
renamed("sl-spinner"); before = stat(); used = time.thread_time_ns()
end = time.monotonic() + 5
while time.monotonic() < end: pass
used = time.thread_time_ns() - used; after = stat()
renamed("sl-done")
tell(cpu=cpu, cpu_ns=used, idle=(after[1] - before[1]) / (after[0] - before[0]))
"""
    capture = traced(tmp_path, ("profile",), script)
    # Each tick of each CPU, in every second that was whole, but for those that hit another
    # tracer's BPF program: the kernel skips this one then.
    ticks = capture.rows(
        "SELECT cpu, samples FROM profile_cpu"
        " WHERE ts_ns > (SELECT min(ts_ns) + 1500000000 FROM profile_cpu)"
        " AND ts_ns < (SELECT max(ts_ns) FROM profile_cpu)"
    )
    assert len(ticks) >= 2 * (os.cpu_count() or 1)
    assert HZ - 1 <= max(taken for _, taken in ticks) <= HZ + 2
    own = [taken for cpu, taken in ticks if cpu == capture.told["cpu"]]
    expected = capture.told["cpu_ns"] / 1e9 * sum(own) / len(own)
    (samples,) = capture.rows("SELECT count(*) FROM profile WHERE comm = 'sl-spinner'")
    # A thread that shares its CPU is hit by chance: four standard deviations.
    chance = (expected * max(0.0, 1 - expected / (5 * HZ))) ** 0.5
    assert samples[0] == pytest.approx(expected, rel=0.05, abs=5 + 4 * chance)
    (lost,) = capture.rows("SELECT count(*) FROM profile WHERE comm = 'sl-spinner' AND ustack = ''")
    assert lost[0] <= 0.02 * samples[0]
    shares = capture.query("profile_cpus")
    idle = 1 - sum(row["busy_share"] for row in shares) / (os.cpu_count() or 1)
    assert idle == pytest.approx(capture.told["idle"], abs=0.08)
    folded = [row["folded"] for row in capture.query("profile")]
    mine = [line for line in folded if line.startswith("sl-spinner;")]
    assert sum(int(line.rpartition(" ")[2]) for line in mine) == samples[0]
    assert any("_PyEval_EvalFrameDefault" in line for line in mine)
    assert all(len(line.split(" ")) == 2 for line in folded)


def test_io_uring_requests_are_those_of_fio(tmp_path):
    if shutil.which("fio") is None:
        pytest.skip("needs fio")
    job = {
        "name": "t",
        "filename": tmp_path / "file",
        "size": "1m",
        "bs": "4k",
        "ioengine": "io_uring",
        "rw": "randread",
        "number_ios": 101,
        "iodepth": 4,
    }
    words = ["fio", "--minimal", *(f"--{name}={value}" for name, value in job.items())]
    script = f"os.system({shlex.join(words) + ' > /dev/null'!r})"
    capture = traced(tmp_path, ("io_uring",), script, "fio")
    (row,) = capture.query("iouring")
    assert (row["comm"], row["operation"]) == ("fio", "read")
    assert (row["requests"], row["errors"]) == (101, 0)
    assert 0 < row["mean_ns"] <= row["p99_ns"] * 1.01 <= row["max_ns"] * 1.02


def test_calls_of_a_function_also_nested(tmp_path):
    script = """
libc = ctypes.CDLL(None)
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
def nested(depth):
    def one(a, b):
        if depth > 1: nested(depth - 1)
        time.sleep(0.01)
        return 0
    libc.qsort((ctypes.c_long * 2)(1, 2), 2, 8, compare(one))
renamed("sl-sorter")
for _ in range(7): nested(5)
renamed("sl-done")
tell(pid=os.getpid())
"""
    capture = traced(tmp_path, ("function_latency",), script, "sl-sorter", function=f"{LIBC}:qsort")
    assert read_functions(LIBC).names
    rows = capture.query("funclatency")
    assert {row["function"] for row in rows} == {"qsort"}
    assert sum(row["calls"] for row in rows) == 35
    # The outer calls contain the inner: 10 ms each, one to five of them.
    total = sum(row["calls"] * row["mean_ns"] for row in rows)
    assert total == pytest.approx(7 * (10e6 + 20e6 + 30e6 + 40e6 + 50e6), rel=0.15)
    (longest,) = capture.rows("SELECT max(max_ns) FROM function_latency")
    assert 50e6 <= longest[0] < 100e6
