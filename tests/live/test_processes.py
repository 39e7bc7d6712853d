"""Programs that start, fail to start, and end: all of them, and how."""

from __future__ import annotations

import shutil
import signal

import pytest

from .sched_tools import traced

pytestmark = pytest.mark.live


def test_exec_by_both_system_calls_and_the_failed_ones(tmp_path):
    program = tmp_path / "sl-exec-me"
    shutil.copy("/bin/true", program)
    (tmp_path / "not-executable").write_text("no")
    script = f"""
program, refused = {str(program)!r}, {str(tmp_path / "not-executable")!r}
libc = ctypes.CDLL(None, use_errno=True)
def child(start):
    pid = os.fork()
    if pid == 0:
        renamed("sl-caller")
        start(); os._exit(0)
    os.waitpid(pid, 0); return pid
def texts(*words): return (ctypes.c_char_p * (len(words) + 1))(*words, None)
def by_descriptor():
    handle = os.open(program, os.O_RDONLY)
    libc.syscall(322, handle, b"", texts(b"by-descriptor"), texts(), 0x1000)
def failing(path):
    try: os.execve(path, [path, "x"], {{}})
    except OSError: pass
def plain(): os.execve(program, ["me", "a b", 'q"\\\\,'], {{"A": "b"}})
tell(
    plain=[child(plain) for _ in range(7)],
    long=[child(lambda: os.execve(program, ["l" * 99] * 20, {{}}))],
    descriptor=[child(by_descriptor) for _ in range(5)],
    missing=[child(lambda: failing(program + "-not")) for _ in range(3)],
    refused=[child(lambda: failing(refused)) for _ in range(2)],
    parent=os.getpid(),
)
"""
    capture = traced(tmp_path, ("exec",), script, payload=True)
    rows = {
        kind: [row for row in capture.query("execsnoop") if row["pid"] in capture.told[kind]]
        for kind in ("plain", "long", "descriptor", "missing", "refused")
    }
    assert {kind: len(found) for kind, found in rows.items()} == {
        "plain": 7,
        "long": 1,
        "descriptor": 5,
        "missing": 3,
        "refused": 2,
    }
    everyone = [row for found in rows.values() for row in found]
    assert {row["ppid"] for row in everyone} == {capture.told["parent"]}
    assert {row["caller_comm"] for row in everyone} == {"sl-caller"}
    assert all(0 < row["dur_ns"] < 10**10 for row in everyone)
    cut = str(program)[:63]
    assert {(r["path"], r["pcomm"], r["error"], r["args"]) for r in rows["plain"]} == {
        (cut, "sl-exec-me", 0, 'me a b q"\\,')
    }
    assert rows["long"][0]["args"] == " ".join(["l" * 63] * 16)
    assert {(r["error"], r["args"]) for r in rows["descriptor"]} == {(0, "by-descriptor")}
    assert all(r["path"].startswith("/dev/fd/") for r in rows["descriptor"])
    assert {(r["pcomm"], r["error"]) for r in rows["missing"]} == {("sl-caller", -2)}
    assert {(r["pcomm"], r["error"]) for r in rows["refused"]} == {("sl-caller", -13)}
    assert {r["args"] for r in rows["missing"]} == {f"{program}-not"[:63] + " x"}
    (count,) = capture.rows("SELECT arguments FROM exec WHERE pid = $1", capture.told["long"][0])
    assert count == (20,)


def test_exits_with_their_code_signal_age_and_use(tmp_path):
    codes, signals = (0, 2, 3, 5, 7, 251), (signal.SIGKILL, signal.SIGTERM, signal.SIGUSR2)
    script = f"""
import resource, signal
told = {{}}
def child(do):
    pid = os.fork()
    if pid == 0:
        renamed("sl-ender"); do(); os._exit(99)
    _, status, used = os.wait4(pid, 0)
    told[pid] = [status, used.ru_utime + used.ru_stime, used.ru_maxrss]
def burn():
    block = b"x" * (64 << 20)
    end = time.process_time() + 0.3
    while time.process_time() < end: pass
    os._exit(13)
def main_thread_first():
    def last():
        time.sleep(0.2); os._exit(17)
    threading.Thread(target=last).start()
    ctypes.CDLL(None).syscall(60, 23)
for code in {codes}: child(lambda: os._exit(code))
for number in {tuple(map(int, signals))}: child(lambda: os.kill(os.getpid(), number))
child(burn); child(main_thread_first)
tell(ended=told, parent=os.getpid())
"""
    capture = traced(tmp_path, ("process_exit",), script)
    ended = {int(pid): told for pid, told in capture.told["ended"].items()}
    rows = capture.rows(
        "SELECT pid, ppid, comm, exit_code, signal, cpu_ns, max_rss_bytes, age_ns,"
        " ts_ns - start_ts_ns FROM process_exit WHERE list_contains($1, pid) ORDER BY ts_ns",
        list(ended),
    )
    assert [row[0] for row in rows] == list(ended)
    assert len(rows) == 11
    for pid, ppid, comm, code, number, cpu_ns, rss, age_ns, life_ns in rows:
        status, cpu_s, rss_kib = ended[pid]
        assert (ppid, comm) == (capture.told["parent"], "sl-ender")
        assert (code, number) == ((status >> 8) & 255, status & 127)
        assert cpu_ns == pytest.approx(cpu_s * 1e9, abs=12e6)
        assert rss == rss_kib << 10
        assert 0 < age_ns == life_ns < 60 * 10**9
    told = [row["ended"] for row in capture.query("exitsnoop") if row["pid"] in ended]
    assert told == [
        *(f"code {code}" for code in codes),
        *(f"signal {int(number)}" for number in signals),
        *("code 13", "code 17"),
    ]


def test_forks_and_threads(tmp_path):
    script = """
renamed("sl-forker")
for _ in range(11):
    pid = os.fork()
    if pid == 0: os._exit(0)
    os.waitpid(pid, 0)
for _ in range(7):
    thread = threading.Thread(target=int); thread.start(); thread.join()
tell(pid=os.getpid())
"""
    capture = traced(tmp_path, ("process_fork",), script, "sl-forker")
    (row,) = [row for row in capture.query("forks") if row["pid"] == capture.told["pid"]]
    assert (row["processes"], row["threads"]) == (11, 7)
