"""Live processes that attack through their names, arguments, paths, requests and SQL.

Everything that they say is told truthfully, and harms nobody who reads it: no terminal, no
spreadsheet, no page, no SQL, no file. What they were given as a secret is nowhere.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pyarrow.parquet as pq
import pytest

from stackledger.capture.privileges import NEEDED
from stackledger.capture.program import cgroup2_mounts

from .ground import Ground, recording_ground

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = (
    b"=cmd|' /C x'!A0",
    b"@SUM(1+1)",
    b"%s%n%x%99999d",
    b"\x1b]0;own\x07\x1b[2J",
    "\x9b31mr\x85".encode(),
    b"'||(SELECT 1)--",
    b'"><script>',
    b"a\nb\tc\r",
    b"\xff\xc3(\xf0\x9f",
    "\u202egnp.exe".encode(),
    b"../../etc/x",
)
SECRET = "Zq7secretZq7"
REQUESTS = (
    b"GET /=cmd|'/C calc'!A0 HTTP/1.0\r\n\r\n",
    b"GET /\x1b]0;own\x07<script>alert(1)</script> HTTP/1.0\r\n\r\n",
    b"GET /<script>alert(1)</script> HTTP/1.0\r\n\r\n",
    b"GET /%s%n%x{{7*7}}${jndi:x} HTTP/1.0\r\n\r\n",
    b"GET /" + b"a" * 4096 + b" HTTP/1.0\r\n\r\n",
    b"GET /\xff\xfe\xc3( HTTP/1.0\r\n\r\n",
    b"Q\0\0\0\x40=cmd|'/C calc'!A0; DROP TABLE \"request\" -- \xff\x1b[2J\0",
    b'Q\0\0\0\x30SELECT "<script>" FROM "=1+1" WHERE \'x\' = $1\0',
)
SECRETS = (
    f"GET /login?token={SECRET}&b=1 HTTP/1.1\r\nAuthorization: Bearer {SECRET}\r\n\r\n".encode(),
    f"POST /in HTTP/1.1\r\nCookie: a={SECRET}\r\n\r\n{SECRET}".encode(),
    b"Q\0\0\0\x50SELECT * FROM t WHERE p = '%s' AND q = $$%s$$\0" % ((SECRET.encode(),) * 2),
    b"P\0\0\0\x50s1\0UPDATE t SET p = '%s'\0\0\0" % SECRET.encode(),
    b"*2\r\n$4\r\nAUTH\r\n$12\r\n%s\r\n" % SECRET.encode(),
)
# Of pyarrow, from before the probes: it gives memory back, and runs nothing else.
ALLOCATOR = "jemalloc_bg_thd"
SERVER = """
import os, socket, sys
open("/proc/self/comm", "wb").write(bytes.fromhex(sys.argv[1]))
listening = socket.create_server(("127.0.0.1", 0))
beside = socket.socket(socket.AF_UNIX)
os.chdir(sys.argv[2])
beside.bind(bytes.fromhex(sys.argv[1]).replace(b"/", b"_") + b"\\n0: 0 0 zz 0 1 01 1 p\\xc2\\x85")
beside.listen()
print(listening.getsockname()[1], flush=True)
while True:
    connection, _ = listening.accept()
    with connection:
        connection.recv(8192)
        connection.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
"""
CLIENT = """
import socket, subprocess, sys
requests = [bytes.fromhex(word) for word in sys.stdin.read().split()]
for port in sys.argv[1:]:
    for request in requests:
        with socket.create_connection(("127.0.0.1", int(port))) as connection:
            connection.sendall(request)
            while connection.recv(4096):
                pass
"""


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """Give a place to record from, on which nothing runs in the end."""
    with recording_ground(tmp_path) as made:
        yield made


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """Give a cgroup of version 2 with a name that ends lines, where Python looks for them."""
    mounts = cgroup2_mounts()
    assert mounts
    folder = mounts[0] / f"stackledger-{os.getpid()}-\x85\u2028=1\x1b[2J"
    folder.mkdir()
    yield folder
    folder.rmdir()


@pytest.fixture
def servers(tmp_path: Path, cgroup: Path) -> Iterator[dict[int, tuple[bytes, int]]]:
    """Start a server per name, in that cgroup; give name and port by process."""
    started = {}
    for number, name in enumerate(NAMES):
        place = tmp_path / f"server{number}"
        place.mkdir()
        script = place / "server.py"
        script.write_text(SERVER)
        started[name] = subprocess.Popen(
            [sys.executable, script, name.hex(), ".", f"--password={SECRET}", SECRET],
            stdout=subprocess.PIPE,
            cwd=place,
        )
        (cgroup / "cgroup.procs").write_text(str(started[name].pid))
    yield {one.pid: (name, int(one.stdout.readline())) for name, one in started.items()}
    for one in started.values():
        one.kill()
        one.wait()
        one.stdout.close()


def record(ground: Ground, servers, requests, *words: str) -> Path:
    """Record while every server gets every request; return the capture's folder."""
    ports = [str(port) for _, port in servers.values()]
    script = ground.bin / "client.py"
    script.write_text(CLIENT)
    sent = ground.bin / "requests"
    sent.write_text("\n".join(one.hex() for one in requests))
    shell = f"{sys.executable} {script} {' '.join(ports)} < {sent}; true --key={SECRET} {SECRET}"
    shell += f"; /bin/true -p{SECRET} --key={SECRET} {SECRET}"
    given = ("--profile", "ledger", "--probe", "exec", "--name", "hostile", *words)
    done = ground.capture(*given, "--", "sh", "-c", shell)
    assert done.returncode == 0, done.stderr
    harmless(done.stdout + done.stderr)
    return ground.captures()[-1]


def harmless(text: str) -> None:
    """Assert that nothing in it steers a terminal or turns its direction."""
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "Traceback" not in text


def test_what_they_are_called_harms_nobody(ground, servers, tmp_path):
    folder = record(ground, servers, REQUESTS)
    assert {path.name for path in ground.store.iterdir()} == {folder.parents[1].name}
    names = {pid: name.decode("utf-8", "replace") for pid, (name, _) in servers.items()}
    pids = ", ".join(map(str, names))
    asked = f"SELECT pid, comm, cgroup FROM process WHERE pid IN ({pids})"
    told = json.loads(ground.run("sql", "hostile", asked, "--format", "json").stdout)
    assert {row["pid"]: row["comm"] for row in told} == names
    assert {row["cgroup"].rpartition("-")[2] for row in told} == {"\x85\u2028=1\x1b[2J"}
    asked = f"SELECT endpoint FROM requests WHERE pid IN ({pids})"
    told = json.loads(ground.run("sql", "hostile", asked, "--format", "json").stdout)
    assert len(told) == len(NAMES) * len(REQUESTS)
    endpoints = {row["endpoint"] for row in told}
    assert any(one.startswith("=cmd|?!A0") for one in endpoints), endpoints
    assert any("<script>alert(1)</script>" in one for one in endpoints)

    for query in ("ledger", "services", "slowest", "endpoints", "pidstat", "execsnoop", "cgroups"):
        for form in ("table", "csv", "json", "jsonl"):
            done = ground.run("query", query, "hostile", "--format", form)
            assert done.returncode == 0, (query, done.stderr)
            harmless(done.stdout + done.stderr)
            if form == "csv":
                no_formulas(done.stdout)
            elif form == "json":
                json.loads(done.stdout)
    for words in (["attribute"], ["diagnose"], ["show"], ["cost", "--model", "aws-us-east-1"]):
        done = ground.run(words[0], "hostile", *words[1:])
        assert done.returncode == 0, (words, done.stderr)
        harmless(done.stdout + done.stderr)
    for form in ("csv", "focus"):
        target = tmp_path / f"{form}.csv"
        given = ("--to", form, "--model", "aws-us-east-1", "-o", str(target))
        done = ground.run("export", "hostile", *given)
        assert done.returncode == 0, done.stderr
        harmless(target.read_text())
        no_formulas(target.read_text())
    page = tmp_path / "page.html"
    assert ground.run("report", "hostile", "-o", str(page)).returncode == 0
    text = page.read_text(encoding="utf-8")
    harmless(text)
    assert text.lower().count("<script") == 1
    assert "&lt;script&gt;alert(1)" in text


def no_formulas(text: str) -> None:
    """Assert that no cell is one: a number may begin with a minus."""
    for row in csv.reader(io.StringIO(text), strict=True):
        for cell in row:
            if cell.lstrip().startswith(("=", "+", "-", "@", "\t")):
                assert re.fullmatch(r"-[0-9.e+-]+|-", cell), cell


def holding(folder: Path, word: str) -> set[str]:
    """Return where in a capture a text is: columns unpacked, and every file's bytes."""
    found = set()
    for path in folder.rglob("*"):
        if path.is_file() and word.encode() in path.read_bytes():
            found.add(path.name)
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            for name in table.column_names:
                if word in str(table.column(name).unique().to_pylist()):
                    found.add(f"{path.parent.name}.{name}")
    return found


def test_no_secret_is_stored(ground, servers):
    folder = record(ground, servers, SECRETS)
    requests = pq.read_table(folder / "request").to_pylist()
    pids = set(servers)
    named = [one["endpoint"] for one in requests if one["pid"] in pids]
    assert len(named) == len(NAMES) * len(SECRETS)
    assert {"GET /login", "POST /in"} <= set(named)
    told = pq.read_table(folder / "process").to_pylist()
    assert all(one["cmdline"].endswith("--password=? ?") for one in told if one["pid"] in pids)
    assert "?" in pq.read_table(folder / "exec_argument").column("argument").to_pylist()
    assert holding(folder, SECRET) == set()
    assert ground.manifest()["redaction"]["policy"] == "normalised/1"


def test_what_payload_stores_scrub_removes(ground, servers):
    folder = record(ground, servers, SECRETS, "--payload")
    assert {"request.payload", "process.cmdline", "exec_argument.argument"} <= holding(
        folder, SECRET
    )
    assert ground.manifest()["redaction"]["policy"] == "payload/1"
    done = ground.run("scrub", "hostile")
    assert done.returncode == 0, done.stderr
    assert holding(folder, SECRET) == set()
    assert ground.run("attribute", "hostile").returncode == 0


def test_a_recording_keeps_no_privilege_that_it_does_not_need(ground):
    """Of itself; its bpftrace and the command need theirs. And it sees as much as before."""
    running = ground.start("--profile", "ledger", "--", "sleep", "6")
    allowed = sum(1 << number for number in NEEDED.values())
    tasks = list(Path(f"/proc/{running.pid}/task").iterdir())
    for task in tasks:
        told = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
        if told["Name"] == ALLOCATOR:
            continue
        assert int(told["CapEff"], 16) == int(told["CapPrm"], 16) == allowed
        assert told["NoNewPrivs"] == "1"
    children = psutil.Process(running.pid).children()
    tracers = [one for one in children if one.name() == "bpftrace"]
    assert tracers
    for one in tracers:
        status = Path(f"/proc/{one.pid}/status").read_text()
        assert "NoNewPrivs:\t0" in status
    _, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert "could not be dropped" not in err
    told = ground.manifest()
    assert told["state"] == "complete"
    (folder,) = ground.captures()
    assert pq.read_table(folder / "socket").num_rows > 0
