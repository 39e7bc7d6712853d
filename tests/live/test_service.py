"""deploy/stackledger.service: its command, confined by hand as the file says."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import confinement
import psutil
import pytest

from stackledger.labs.throttle import throttle

PIPELINE = Path(__file__).resolve().parents[2] / "pipeline"
SERVICE = confinement.unit()
CAPABILITIES = confinement.capabilities(SERVICE)
_SHIFTS = {"M": 20, "G": 30}
LISTENING = (
    "import socket; s = socket.create_server(('127.0.0.1', 0));"
    "print(s.getsockname()[1], flush=True); input()"
)


@pytest.fixture
def state() -> Iterator[Path]:
    """Give a folder as systemd makes it for StateDirectory."""
    if any(str(path).startswith(("/tmp/", "/var/tmp/")) for path in (PIPELINE, sys.executable)):
        pytest.skip("PrivateTmp hides this checkout")
    folder = Path(tempfile.mkdtemp(prefix="stackledger-test-", dir="/var/lib"))
    folder.chmod(int(SERVICE["StateDirectoryMode"], 8))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def stranger() -> Iterator[tuple[int, int]]:
    """Give process and port of a server of another user: not everybody sees whose it is."""
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    with subprocess.Popen(
        [*user, "/usr/bin/python3", "-c", LISTENING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        yield running.pid, int(running.stdout.readline())
        running.kill()


@dataclass
class Done:
    """A recording's end: its exit code, what it said, its manifest, and its most threads."""

    code: int
    said: str
    told: dict[str, Any]
    threads: int


def record(state: Path, caps: list[str], groups: tuple[Path, ...] = ()) -> Done:
    """Run the unit's command in its confinement, for two seconds from when it records."""
    words = [
        *confinement.confined(SERVICE, state, caps, groups),
        *confinement.command(SERVICE, state, [sys.executable, "-m", "stackledger"]),
    ]
    paths = os.pathsep.join([str(PIPELINE), *sys.path])
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": paths}
    said, threads = [], 0
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env
    ) as running:
        for line in running.stderr:
            said.append(line)
            if line == "recording\n":
                subprocess.run(["/bin/true", "17"], check=True)
                time.sleep(2)
                recorder = psutil.Process(running.pid)
                tree = [recorder, *recorder.children(recursive=True)]
                threads = sum(one.num_threads() for one in tree)
                running.send_signal(signal.SIGTERM)  # KillMode=mixed: to none of the others
    found = list(state.glob("dt=*/host=*/capture=*/capture.json"))
    told = json.loads(found[0].read_text()) if found else {}
    return Done(running.returncode, "".join(said), told, threads)


def owner(done: Done, port: int) -> int:
    """Return who listens on a port, as the capture has it; 0 where it could not see that."""
    (pid,) = {one["pid"] for one in done.told["topology"]["listeners"] if one["port"] == port}
    return pid


def test_systemd_understands_the_unit():
    done = subprocess.run(
        ["systemd-analyze", "verify", str(confinement.UNIT)], capture_output=True, text=True
    )
    told = [line for line in done.stderr.splitlines() if "stackledger.service" in line]
    # A checkout's program is elsewhere.
    assert [line for line in told if "/usr/local/bin/stackledger is not exec" not in line] == []


def test_the_confinement_is_one(state):
    tries = (
        "touch /etc/planted || echo etc; touch /usr/planted || echo usr;"
        f" touch {state}/there && echo state; touch /tmp/private && echo tmp;"
        " grep -E 'CapEff|NoNewPrivs' /proc/self/status; umask; ulimit -c"
    )
    words = [*confinement.confined(SERVICE, state, CAPABILITIES), "sh", "-c", tries]
    said = subprocess.run(words, capture_output=True, text=True).stdout.split()
    assert said[:4] == ["etc", "usr", "state", "tmp"]
    assert int(said[5], 16).bit_count() == len(CAPABILITIES)
    assert said[6:] == ["NoNewPrivs:", "1", "0077", "0"]
    assert not Path("/tmp/private").exists()


def test_the_units_command_records_all(state, stranger):
    limit = re.fullmatch(r"(\d+)([MG])", SERVICE["MemoryMax"])
    with throttle(Path("/var/lib")) as limits:
        limits.set_memory(int(limit[1]) << _SHIFTS[limit[2]])
        done = record(state, CAPABILITIES, limits.groups)
    assert (done.code, "warning" in done.said) == (0, False), done.said
    assert done.told["state"] == "complete"
    assert {run["state"] for run in done.told["probes"]} == {"complete"}
    for loss in done.told["losses"]:
        assert loss["produced"] == loss["received"]
    assert {one["table"]: one["received"] for one in done.told["losses"]}["exec"] > 0
    pid, port = stranger
    assert owner(done, port) == pid
    assert 0 < done.threads < int(SERVICE["TasksMax"])
    for file in state.rglob("*.parquet"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("without", "line"),
    [
        ("bpf", "root here has neither CAP_SYS_ADMIN nor CAP_BPF with CAP_PERFMON"),
        ("perfmon", "root here has neither CAP_SYS_ADMIN nor CAP_BPF with CAP_PERFMON"),
        ("ipc_lock", "Failed to open perf buffer"),
    ],
)
def test_nothing_is_recorded_without(without, line, state):
    done = record(state, [name for name in CAPABILITIES if name != without])
    assert (done.code, line in done.said) == (3, True), done.said
    assert str(done.code) in SERVICE["RestartPreventExitStatus"].split()


@pytest.mark.parametrize("without", ["sys_ptrace", "dac_read_search"])
def test_whose_a_socket_is_stays_unseen_without(without, state, stranger):
    done = record(state, [name for name in CAPABILITIES if name != without])
    assert owner(done, stranger[1]) == 0


def test_it_opens_sockets_of_the_units_families_alone(tmp_path):
    log = tmp_path / "sockets"
    words = confinement.command(SERVICE, tmp_path, [sys.executable, "-m", "stackledger"])
    short = ["2s" if word == confinement.LONG else word for word in words]
    trace = ("strace", "-f", "-qq", "-e", "trace=socket", "-e", "signal=none", "-o", str(log))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PIPELINE), *sys.path])}
    done = subprocess.run([*trace, *short], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    opened = set(re.findall(r"socket\((AF_\w+)", log.read_text()))
    assert opened == set(SERVICE["RestrictAddressFamilies"].split())
