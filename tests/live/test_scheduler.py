"""The scheduler's signals against the kernel's own counters of the same thread."""

from __future__ import annotations

import pytest

from .sched_tools import traced

pytestmark = pytest.mark.live

NAPS, ATTEMPTS = 101, 20


def test_context_switches_are_those_of_proc_status(tmp_path):
    script = f"""
for attempt in range({ATTEMPTS}):
    name = f"sl-switch-{{attempt}}"
    before = at_once(name)
    for _ in range({NAPS}):
        time.sleep(0.002)
    end = time.thread_time() + 0.2
    while time.thread_time() < end: pass
    after = at_once("sl-done")
    if before and after: break
tell(comm=name, voluntary=after[0] - before[0], involuntary=after[1] - before[1])
"""
    names = [f"sl-switch-{attempt}" for attempt in range(ATTEMPTS)]
    capture = traced(tmp_path, ("context_switch",), script, *names)
    (row,) = [row for row in capture.query("cswitches") if row["comm"] == capture.told["comm"]]
    assert row["voluntary"] == capture.told["voluntary"] >= NAPS
    assert row["involuntary"] == capture.told["involuntary"]
    assert row["switches"] == row["voluntary"] + row["involuntary"]


def test_waiting_for_a_cpu_is_that_of_proc_schedstat(tmp_path):
    """Three hogs on one CPU: each waits two thirds of the time."""
    script = """
cpu = min(os.sched_getaffinity(0))
def hog():
    os.sched_setaffinity(0, {cpu})
    before = settled("sl-hog-a"); name = own_name()
    end = time.monotonic() + 4
    while time.monotonic() < end: pass
    after = settled("sl-done-a")
    return json.dumps([name, after[2] - before[2] + before[3] - after[3], own_name()])
pipes = []
for _ in range(2):
    out, into = os.pipe(); pipes.append(out)
    if os.fork() == 0:
        delay = hog(); os.write(into, f"{os.getpid()} {delay}".encode()); os._exit(0)
told = {os.getpid(): json.loads(hog())}
for pipe in pipes:
    pid, delay = os.read(pipe, 99).decode().split(" ", 1); told[int(pid)] = json.loads(delay)
tell(delays=told)
"""
    names = [f"sl-hog-{letter}" for letter in "abcdefgh"]
    capture = traced(tmp_path, ("run_queue",), script, *names)
    found = capture.query("runq")
    rows = {(row["pid"], row["comm"]): row for row in found}
    for pid, (name, delay, done) in capture.told["delays"].items():
        assert delay > 1e9
        # A switch while it took its last name would have hidden a wait.
        near = 0.02 if done == "sl-done-a" else 0.2
        assert rows[int(pid), name]["total_ns"] == pytest.approx(delay, rel=near)
    waits = sum(row["waits"] for row in found)
    histogram = capture.query("runqlat")
    assert sum(row["waits"] for row in histogram) == waits
    low = sum(row["from_ns"] * row["waits"] for row in histogram)
    assert low <= sum(row["total_ns"] for row in found) <= 2 * low


def test_time_off_the_cpu_is_that_of_known_sleeps(tmp_path):
    script = """
renamed("sl-sleeper")
begun = time.monotonic_ns()
for _ in range(23): time.sleep(0.05)
slept = time.monotonic_ns() - begun
renamed("sl-done")
time.sleep(2.5)  # its functions are named while it lives
tell(pid=os.getpid(), slept_ns=slept)
"""
    capture = traced(tmp_path, ("off_cpu",), script, "sl-sleeper")
    rows = [row for row in capture.query("offcputime") if row["pid"] == capture.told["pid"]]
    sleeps = [row for row in rows if "nanosleep;" in row["stack"]]
    assert {row["state"] for row in sleeps} == {"S"}
    assert sum(row["blocks"] for row in sleeps) == 23
    total = sum(row["total_ns"] for row in sleeps)
    assert 23 * 50e6 <= total <= capture.told["slept_ns"]
    assert total == pytest.approx(capture.told["slept_ns"], rel=0.05)
    (frames,) = {tuple(row["stack"].split(";")) for row in sleeps}
    assert frames[-1] == "__schedule"
    assert "nanosleep" in frames[frames.index("entry_SYSCALL_64_after_hwframe") - 1]
    folded = [row["folded"] for row in capture.query("offcputime_folded")]
    assert any(line.startswith("sl-sleeper;") and "nanosleep" in line for line in folded)
    assert all(line.rpartition(" ")[2].isdigit() for line in folded)
