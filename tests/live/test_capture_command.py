"""`stackledger capture` as a program: its ends, good and bad, and what it leaves behind."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pyarrow.parquet as pq
import pytest

from stackledger.labs.folders import private_folder
from stackledger.labs.node_stack import cache
from stackledger.labs.servers import free_ports

from .ground import Done, Ground, recording_ground, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# It may read every file, wherever the checkout is, and nothing else.
NOBODY = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
)


# One probe, without which there is no capture.
DISKS = ("--profile", "none", "--probe", "block_io")


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """Give a place to record from, on which nothing runs in the end."""
    with recording_ground(tmp_path) as made:
        yield made


def refused(done: Done, code: int, line: str, hint: str | None = None) -> None:
    """Assert that nothing but one error line and its hint was said."""
    told = [one for one in done.stderr.splitlines() if one != "attaching probes"]
    assert told[0].startswith(f"stackledger: error: {line}")
    assert (done.returncode, done.stdout, len(told)) == (code, "", 2 if hint else 1)
    assert hint is None or told[1].startswith(f"hint: {hint}")


def nothing_left(ground: Ground) -> None:
    assert not ground.store.exists() or list(ground.store.iterdir()) == []


@pytest.mark.parametrize("words", [(), DISKS])
def test_without_root(words, ground):
    done = ground.capture("--for", "1s", *words, prefix=NOBODY)
    line = "this host cannot trace: privileges: user 65534, bpftrace runs as root only"
    refused(done, 3, line, 'sudo "$(command -v stackledger)" capture')
    nothing_left(ground)


def test_without_bpftrace(ground):
    done = ground.capture("--for", "1s", PATH=str(ground.bin))
    refused(done, 3, "bpftrace is not installed", "apt-get install bpftrace")
    nothing_left(ground)


def test_with_too_old_a_bpftrace(ground):
    ground.put("bpftrace", "#!/bin/sh\necho bpftrace v0.16.0\n")
    done = ground.capture("--for", "1s")
    refused(done, 3, "bpftrace is too old: bpftrace v0.16.0", "0.17 or later is needed")
    nothing_left(ground)


def test_without_tracefs(ground):
    """In a mount namespace of its own, without the right to mount it again."""
    script = (
        "mount --make-rprivate /sys && umount -l /sys/kernel/tracing"
        ' && exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "$@"'
    )
    prefix = ("unshare", "--mount", "--propagation=unchanged", "sh", "-c", script, "sh")
    done = ground.capture("--for", "1s", prefix=prefix)
    refused(done, 3, "this host cannot trace: tracefs: not mounted", "mount -t tracefs tracefs")
    nothing_left(ground)


FAKE = """#!/bin/sh
case "$*" in *--version*) echo bpftrace v0.17.0; exit;; esac
"""


@pytest.mark.parametrize(
    ("script", "line", "hint"),
    [
        ("exec sleep 60", "block_io did not attach in time: 1 s", "the host may be overloaded"),
        (
            "echo 'ERROR: Could not attach it' >&2; exit 1",
            "block_io could not be attached: ERROR: Could not attach it",
            "stackledger doctor",
        ),
        (
            "kill -SEGV $$",
            "block_io could not be attached: bpftrace was ended by SIGSEGV",
            "stackledger doctor",
        ),
    ],
)
def test_a_bpftrace_that_does_not_attach(script, line, hint, ground):
    ground.put("bpftrace", FAKE + script)
    done = ground.capture(*DISKS, "--attach-limit", "1s", "--for", "1s")
    refused(done, 3, line, hint)
    nothing_left(ground)


def test_the_exit_code_of_the_command_is_passed_on(ground):
    done = ground.capture(*DISKS, "--name", "seven", "--", "sh", "-c", "echo x; exit 7")
    (folder,) = ground.captures()
    assert done.returncode == 7
    assert done.stdout.splitlines() == ["x", str(folder)]
    assert "recording" in done.stderr.splitlines()
    assert done.stderr.splitlines()[-1] == "next: stackledger query biosnoop seven"
    told = ground.manifest()
    assert (told["state"], told["name"]) == ("complete", "seven")
    assert told["command"] == {"argv": ["sh", "-c", "?"], "exit_code": 7}


def test_the_requests_of_a_large_capture_are_linked_when_it_ends(ground):
    """Of Redis, a prime number: more than are taken as they are."""
    (port,) = free_ports(["redis"]).values()
    load = ("redis-benchmark", "-p", str(port), "-c", "4", "-n", "60013", "-q", "ping")
    with private_folder(None) as place, cache(place, port):
        done = ground.capture("--profile", "ledger", "--name", "many", "--", *load)
    assert done.returncode == 0, done.stderr
    assert "linking 60,0" in done.stderr
    (folder,) = ground.captures()
    assert list(folder.glob("linked-*/requests.parquet"))
    counted = ground.run("query", "endpoints", "many", "--format", "json")
    pings = [row for row in json.loads(counted.stdout) if row["endpoint"].startswith("PING")]
    assert sum(row["requests"] for row in pings) == 60_013


def test_a_command_that_cannot_be_started(ground):
    ground.put("broken", "#!/nonexistent/interpreter\n")
    done = ground.capture(*DISKS, "--", "broken")
    refused(done, 2, "cannot start the command: broken: No such file or directory")
    nothing_left(ground)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_is_the_normal_end(number, ground):
    running = ground.start(*DISKS, "--", "sleep", "60")
    time.sleep(0.3)
    running.send_signal(number)
    out, err = running.communicate(timeout=20)
    assert (running.returncode, "Traceback" in err) == (0, False)
    (folder,) = ground.captures()
    assert out == f"{folder}\n"
    told = ground.manifest()
    assert (told["state"], told["command"]["exit_code"]) == ("complete", None)


def test_a_terminal_that_is_gone_is_the_normal_end(ground):
    """As when the connection to the host breaks: nothing can be said any more."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["setsid", "--ctty", sys.executable, "-m", "stackledger", "capture", *DISKS],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=ground.environment(),
    ) as running:
        os.close(theirs)
        said = b""
        while b"recording 1 s" not in said:
            said = said[-100:] + os.read(ours, 4096)
        os.close(ours)
        running.wait(20)
    assert ground.manifest()["state"] == "complete"


def test_what_was_recorded_is_its_askers_alone(ground):
    done = ground.capture(*DISKS, "--for", "1s", SUDO_UID="1234", SUDO_GID="1235")
    (folder,) = ground.captures()
    assert done.stdout == f"{folder}\n"
    found = {path: path.lstat() for path in (folder, *folder.rglob("*"))}
    assert {(one.st_uid, one.st_gid) for one in found.values()} == {(1234, 1235)}
    for path, one in found.items():
        assert stat.S_IMODE(one.st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert folder.parent.stat().st_uid == ground.store.parent.stat().st_uid


# Between stackledger and the real bpftrace, whose path it gets as REAL.
BETWEEN = """#!{python}
import os, signal, subprocess, sys, time
real = {real!r}
if "--version" in sys.argv:
    os.execv(real, [real, *sys.argv[1:]])
signal.signal(signal.SIGINT, signal.SIG_IGN)
inner = subprocess.Popen([real, *sys.argv[1:]], stdout=subprocess.PIPE, close_fds=False)
out = sys.stdout.buffer
{body}
"""


def between(ground: Ground, body: str) -> None:
    real = shutil.which("bpftrace")
    ground.put("bpftrace", BETWEEN.format(python=sys.executable, real=real, body=body))


def test_the_second_signal_ends_it_at_once(ground):
    # This bpftrace says everything but its end.
    between(
        ground,
        "for line in inner.stdout:\n    out.write(line); out.flush()\ntime.sleep(60)\n",
    )
    running = ground.start(*DISKS, "--for", "60s")
    running.send_signal(signal.SIGINT)
    time.sleep(1)
    assert running.poll() is None
    running.send_signal(signal.SIGINT)
    begun = time.monotonic()
    _, err = running.communicate(timeout=10)
    assert time.monotonic() - begun < 3
    assert (running.returncode, "Traceback" in err) == (130, False)
    assert ground.manifest()["error"] == "interrupted a second time"
    assert ground.run("show").returncode == 0


# A file system that was not used yet reads its block maps in the name of who writes.
WRITTEN = "SELECT count(*) AS n FROM block_io WHERE comm = 'dd' AND rwbs LIKE 'W%'"


def io(times: int, folder: str = "/var/tmp") -> None:
    """Write to a disk, past the page cache."""
    program = ("dd", "if=/dev/zero", "bs=4k", f"count={times}", "oflag=direct", "status=none")
    path = Path(folder) / f"stackledger-test-{os.getpid()}"
    try:
        subprocess.run([*program, f"of={path}"], check=True)
    finally:
        path.unlink(missing_ok=True)


def test_a_bpftrace_that_dies_half_way(ground):
    running = ground.start("--profile", "ledger", "--for", "60s", "--name", "torn")
    victims = [
        child
        for child in psutil.Process(running.pid).children()
        if "memfd:block_io" in " ".join(_files(child.pid))
    ]
    assert len(victims) == 1
    io(31)
    time.sleep(1)
    victims[0].kill()
    line = running.stderr.readline()
    assert line == (
        "stackledger: warning: block_io ended: bpftrace was ended by SIGKILL; the others go on\n"
    )
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, "Traceback" in err) == (1, False)
    (folder,) = ground.captures()
    assert out == f"{folder}\n"
    told = ground.manifest()
    assert told["state"] == "failed"
    assert told["error"] == "block_io: bpftrace was ended by SIGKILL"
    states = {run["name"]: run["state"] for run in told["probes"]}
    assert states == {"request_ledger": "complete", "block_io": "failed"}
    losses = {one["table"]: one for one in told["losses"]}
    assert losses["request"]["produced"] is not None
    assert losses["block_io"]["produced"] is None
    assert losses["block_io"]["received"] >= 31
    answer = ground.run("query", "losses", "torn")
    assert answer.returncode == 0
    assert "its recording failed: block_io: bpftrace was ended by SIGKILL" in answer.stderr


def _files(pid: int) -> list[str]:
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(str(path.readlink()))
        except OSError:
            continue
    return found


def test_sigkill_in_mid_capture(ground):
    running = ground.start(*DISKS, "--for", "60s", "--name", "cut")
    io(101)
    # Not any 101 rows: others write to this machine's disk too.
    wait_for(lambda: ground.run("sql", "cut", WRITTEN).stdout == "n\n101\n", limit_s=30)
    meanwhile = ground.run("sql", "cut", WRITTEN)
    assert "cut: it is still being written: these are the rows so far" in meanwhile.stderr
    assert (meanwhile.returncode, meanwhile.stdout) == (0, "n\n101\n")
    running.kill()
    running.communicate(timeout=10)
    wait_for(lambda: ground.running() == [])
    shown = ground.run("show")
    assert shown.returncode == 0
    assert "incomplete: its recording was cut off" in shown.stdout
    after = ground.run("sql", "cut", WRITTEN)
    assert (after.returncode, after.stdout) == (0, "n\n101\n")
    repaired = ground.run("repair", "cut")
    assert (repaired.returncode, repaired.stderr) == (0, "")
    told = ground.manifest()
    assert (told["state"], told["error"]) == ("failed", "cut off")
    assert {one["table"]: one["received"] for one in told["losses"]}["block_io"] >= 101
    assert ground.run("sql", "cut", WRITTEN).stdout == "n\n101\n"


def _rows(ground: Ground, table: str) -> int:
    (folder,) = ground.captures()
    return sum(pq.read_metadata(part).num_rows for part in (folder / table).glob("part-*.parquet"))


GARBAGE = r"""
junk = [
    b'\x00\xff\xfe garbage\n', b'[]\n', b'null\n', b'"\n', b'\n', b'{}\n',
    b'{"type": "value", "data": ["block_io",1\n',
    b'{"type": "value", "data": ["block_io", 1, 2]}\n',
    b'{"type": "map", "data": 7}\n',
]
count = 0
for line in inner.stdout:
    out.write(line)
    if b'"block_io"' in line and count < 20:
        out.write(junk[count % len(junk)])
        count += 1
    out.flush()
out.write(b'{"type": "value", "data": ["block_io", 17')
"""


def test_garbage_between_the_lines(ground):
    between(ground, GARBAGE)
    words = ("dd", "if=/dev/zero", "bs=4k", "count=53", "oflag=direct", "status=none")
    done = ground.capture(*DISKS, "--max-loss", "1", "--", *words, f"of=/var/tmp/{os.getpid()}.dd")
    Path(f"/var/tmp/{os.getpid()}.dd").unlink()
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    told = ground.manifest()
    (loss,) = told["losses"]
    assert loss["produced"] == loss["received"]
    assert loss["lost"] == 0
    assert loss["undecodable"] > 10
    # Of each piece of output the first few are kept, those that look like rows before others.
    kept = told["probes"][0]["undecodable"]
    assert any(
        "xxxxxxx" in line or line.startswith('{"type": "value", "data": ["block_io"')
        for line in kept
    )
    answer = ground.run("sql", WRITTEN)
    assert answer.stdout == "n\n53\n"
    assert "were lost" in answer.stderr


def test_losses_above_the_limit_are_5(ground):
    between(
        ground,
        "count = 0\n"
        "for line in inner.stdout:\n"
        "    count += b'\"block_io\"' in line\n"
        "    if b'\"block_io\"' not in line or count % 3:\n"
        "        out.write(line)\n"
        "    out.flush()\n",
    )
    target = f"/var/tmp/{os.getpid()}.dd"
    words = ("dd", "if=/dev/zero", "bs=4k", "count=53", "oflag=direct", "status=none")
    done = ground.capture(*DISKS, "--", *words, f"of={target}")
    Path(target).unlink()
    (folder,) = ground.captures()
    assert (done.returncode, done.stdout) == (5, f"{folder}\n")
    told = done.stderr.splitlines()
    assert told[-2].startswith("stackledger: error: captured, but rows were lost: block_io: ")
    assert told[-1].startswith("hint: narrow it: --pid, --comm, --cgroup")


@pytest.fixture
def small_disk(ground: Ground) -> Iterator[Callable[[], None]]:
    """Make the store a disk of 1 MiB; return a function that fills it."""
    ground.store.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(ground.store))
    subprocess.run(mount, check=True)

    def fill() -> None:
        with (ground.store / "ballast").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"0" * 4096)

    yield fill
    subprocess.run(("umount", "-l", str(ground.store)), check=True)


FULL = "cannot write to the store: "
MORE_SPACE = "free some space, or choose another place with --store DIR"


def test_a_full_disk(ground, small_disk):
    small_disk()
    done = ground.capture(*DISKS, "--for", "1s")
    refused(done, 1, FULL, MORE_SPACE)
    assert "No space left on device" in done.stderr
    assert [path.name for path in ground.store.iterdir()] == ["ballast"]


def test_a_disk_that_fills_during_the_recording(ground, small_disk):
    running = ground.start(*DISKS, "--for", "60s", "--", "sleep", "60")
    wait_for(lambda: _rows(ground, "process") > 0)
    small_disk()
    out, err = running.communicate(timeout=15)
    assert (running.returncode, out, "Traceback" in err) == (1, "", False)
    (folder,) = ground.captures()
    assert err.splitlines()[0] == f"what was recorded until then: {folder}"
    assert err.splitlines()[1].startswith(f"stackledger: error: {FULL}{folder}")
    assert err.splitlines()[2].startswith(f"hint: {MORE_SPACE}")
    assert not list(ground.store.rglob("*.tmp"))
    answer = ground.run("sql", "SELECT count(*) > 0 AS some FROM process")
    assert (answer.returncode, answer.stdout) == (0, "some\nTrue\n")
    assert "its recording" in answer.stderr


@pytest.mark.parametrize(
    ("store", "why"),
    [("/proc/store", "No such file or directory"), ("/dev/null", "Not a directory")],
)
def test_a_store_that_cannot_be_written(store, why, ground):
    done = ground.capture(*DISKS, "--for", "1s", "--store", store)
    refused(done, 1, f"{FULL}{store}: {why}", "choose another place with --store DIR")


NAMES = (
    b'a","x":1}',
    b'"\\"',
    b"new\nline\ttab",
    b"\x1b[31mred",
    b"\xff\xfe\xc3(",
    b"<script>x</b>",
    b"';DROP TABLE--",
    b"\\u0041\\n",
    "žluťouč".encode(),
)
# One process per name: it serves one request and writes past the page cache meanwhile.
SERVER = """
import mmap, os, socket, sys
name, path = bytes.fromhex(sys.argv[1]), sys.argv[2]
open("/proc/self/comm", "wb").write(name)
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
while True:
    connection, _ = listening.accept()
    with connection:
        connection.recv(4096)
        block = mmap.mmap(-1, 4096)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
        for at in range(8):  # of one, the kernel might not show who it was
            os.pwrite(file, block, at * 4096)
        os.close(file)
        connection.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
"""
CLIENT = """
import socket, sys
for port in sys.argv[1:]:
    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        connection.sendall(b'GET /<script>alert("x")</script>/a\\x1b\\xff%22 HTTP/1.0\\r\\n\\r\\n')
        while connection.recv(4096):
            pass
"""


@pytest.fixture
def servers(ground: Ground) -> Iterator[dict[bytes, tuple[int, int]]]:
    """Start a server per hostile name; give (process, port) of each."""
    folder = Path("/var/tmp") / f"stackledger-test-{os.getpid()}"
    folder.mkdir()
    started = {
        name: subprocess.Popen(
            [sys.executable, "-c", SERVER, name.hex(), str(folder / str(number))],
            stdout=subprocess.PIPE,
        )
        for number, name in enumerate(NAMES)
    }
    yield {name: (one.pid, int(one.stdout.readline())) for name, one in started.items()}
    for one in started.values():
        one.kill()
        one.wait()
        one.stdout.close()
    shutil.rmtree(folder)


def test_hostile_names_come_through_exactly_and_harmlessly(ground, servers, tmp_path):
    ports = [str(port) for _, port in servers.values()]
    done = ground.capture(
        "--profile", "ledger", "--name", "hostile", "--", sys.executable, "-c", CLIENT, *ports
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert "\x1b" not in done.stdout + done.stderr
    losses = {one["table"]: one for one in ground.manifest()["losses"]}
    assert {one["lost"] + one["undecodable"] for one in losses.values()} == {0}

    expected = {pid: name.decode("utf-8", "replace") for name, (pid, _) in servers.items()}
    pids = ", ".join(map(str, expected))
    tables = ("block_io", "connection", "process")
    statement = " UNION ".join(
        f"SELECT '{table}' AS told, pid, comm FROM {table} WHERE pid IN ({pids})"
        for table in tables
    )
    rows = json.loads(ground.run("sql", "hostile", statement, "--format", "json").stdout)
    for table in tables:
        told = {row["pid"]: row["comm"] for row in rows if row["told"] == table}
        assert told == expected, table
    statement = f"SELECT pid, endpoint FROM requests WHERE pid IN ({pids}) ORDER BY pid"
    rows = json.loads(ground.run("sql", "hostile", statement, "--format", "json").stdout)
    assert [row["pid"] for row in rows] == sorted(expected)
    (endpoint,) = {row["endpoint"] for row in rows}
    assert endpoint.startswith('GET /<script>alert("x")</script>/')

    for words in (
        ("attribute", "hostile"),
        ("query", "biosnoop", "hostile", "--format", "table"),
        ("query", "slowest", "hostile", "--format", "table"),
    ):
        shown = ground.run(*words)
        assert (shown.returncode, "\x1b" in shown.stdout + shown.stderr) == (0, False), words
        assert "Traceback" not in shown.stderr
    page = tmp_path / "page.html"
    written = ground.run("report", "hostile", "-o", str(page))
    assert written.returncode == 0
    text = page.read_text(encoding="utf-8")
    # The page's own, and none of the traced.
    assert text.lower().count("<script") == 1
    assert "&lt;script&gt;" in text
    assert "\x1b" not in text
