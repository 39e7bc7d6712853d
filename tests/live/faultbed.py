"""What faults.py is made of: servers, cgroups, a cable, and the recording of it."""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger.capture import bpftrace
from stackledger.capture.profiles import PROFILES
from stackledger.capture.program import Filters
from stackledger.capture.session import Options, record
from stackledger.capture.trial import STACK_BYTES, register_padding
from stackledger.labs import folders, gateway, load, servers
from stackledger.store import find

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stackledger.store import Capture

HERE = Path(__file__).parent
CGROUPS = Path("/sys/fs/cgroup")


@dataclass
class Scene:
    """What is running: where the load goes, and how it is driven."""

    url: str
    paths: Sequence[str]
    options: Mapping[str, float] = field(default_factory=dict)
    before: Sequence[str] = ()  # of the load's command
    pids: Sequence[int] = ()  # the only ones that are traced


def recorded(scene: Scene, store: Path, duration_s: float = 4.0) -> Capture:
    """Drive the scene's load for so long, record it as an incident, and return the capture."""
    options = {"connections": 8, "duration_s": duration_s, **scene.options}
    argv = [*scene.before, *load.command(scene.url, scene.paths, **options)]
    # The load must not queue for the CPUs that it measures.
    return recorded_while(f"exec chrt -f 10 {shlex.join(argv)} > /dev/null", store, scene.pids)


def recorded_while(script: str, store: Path, pids: Sequence[int] = ()) -> Capture:
    """Record what the default profile records while a shell script runs."""
    padding = register_padding(bpftrace.find())
    assert padding is not None
    os.environ.update(servers.module_path())
    outcome = record(
        Options(
            store=store,
            probes=PROFILES["incident"],
            command=("sh", "-euc", script),
            filters=Filters(pids=tuple(pids)),
            constants={"STACK": STACK_BYTES - padding},
        )
    )
    assert outcome.exit_code == 0, outcome.manifest.error
    return find(str(outcome.folder), store)


@contextmanager
def faulty(
    folder: Path, *, next_port: int | None = None, name: str = "app", **environment: str
) -> Iterator[tuple[int, servers.Server]]:
    """Run faulty_server.py and give its port."""
    port = servers.free_ports([name])[name]
    argv = [sys.executable, str(HERE / "faulty_server.py"), str(port)]
    argv += [str(next_port)] if next_port else []
    home = folder / name
    home.mkdir()
    with servers.server(name, argv, folder=home, environment=environment) as it:
        servers.wait_until(lambda: gateway.healthy(port), it)
        yield port, it


@contextmanager
def behind(folder: Path, port: int) -> Iterator[str]:
    """Run haproxy in front of a port and give the address."""
    front = servers.free_ports(["front"])["front"]
    with gateway.sidecar(folder, front, upstream=port):
        yield f"http://127.0.0.1:{front}"


@contextmanager
def cgroup(controller: str, pids: Sequence[int], **files: object) -> Iterator[Path]:
    """Put processes into a cgroup of version 1 with these files, and out of it at the end."""
    group = CGROUPS / controller / f"stackledger-fault-{secrets.token_hex(4)}"
    group.mkdir()
    try:
        for name, value in files.items():
            (group / f"{controller}.{name}").write_text(str(value))
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))
        yield group
    finally:
        deadline = time.monotonic() + 5
        while group.exists() and time.monotonic() < deadline:
            for pid in (group / "cgroup.procs").read_text().split():
                with suppress(OSError):
                    (CGROUPS / controller / "cgroup.procs").write_text(pid)
            with suppress(OSError):
                group.rmdir()
            time.sleep(0.02)


@contextmanager
def burning(processes: int) -> Iterator[None]:
    """Keep CPUs busy with so many processes."""
    running = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)
    ]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


@contextmanager
def locking(port: int) -> Iterator[None]:
    """Lock a table of the stack's database for 30 of every 60 ms, as a careless job would."""
    running = subprocess.Popen([sys.executable, "-c", _LOCKING, str(port)])
    try:
        yield
    finally:
        running.kill()
        running.wait()


_LOCKING = """
import sys, time
from stackledger.labs.pgwire import Connection
job = Connection(("127.0.0.1", int(sys.argv[1])), user="lab", database="postgres")
while True:
    for statement in ("BEGIN", "LOCK TABLE payments IN EXCLUSIVE MODE"):
        job.query(statement)
    time.sleep(0.03)
    job.query("COMMIT")
    time.sleep(0.03)
"""


@contextmanager
def one_server(path: str, *, proxy: bool = True, **environment: str) -> Iterator[Scene]:
    """Run the faulty server, behind haproxy, and ask for one path."""
    with ExitStack() as running:
        folder = running.enter_context(folders.private_folder(None))
        port, _ = running.enter_context(faulty(folder, **environment))
        url = f"http://127.0.0.1:{port}"
        if proxy:
            url = running.enter_context(behind(folder, port))
        yield Scene(url, [path], {"rate_hz": 60})


@contextmanager
def two_servers() -> Iterator[str]:
    """Run haproxy, the faulty server, and another that it asks; give the address."""
    with (
        folders.private_folder(None) as folder,
        faulty(folder, name="next") as (port, _),
        faulty(folder, next_port=port) as (front, _),
        behind(folder, front) as url,
    ):
        yield url


def large_file(path: Path, size: int) -> None:
    """Make a file of random bytes that is on the disk and not in the page cache."""
    with path.open("wb") as large:
        for _ in range(size >> 20):
            large.write(os.urandom(1 << 20))
        large.flush()
        os.fsync(large.fileno())
        os.posix_fadvise(large.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def inside(name: str) -> list[str]:
    """Return the words that run a command in a network namespace."""
    return ["ip", "netns", "exec", name]


@contextmanager
def cable() -> Iterator[tuple[str, str]]:
    """Give two network namespaces, 10.204.0.1 and 10.204.0.2, with a cable between them."""
    word = secrets.token_hex(3)
    names = (f"sl-f-{word}", f"sl-g-{word}")

    def run(*words: str) -> None:
        subprocess.run(words, check=True, capture_output=True)

    try:
        for name in names:
            run("ip", "netns", "add", name)
        run("ip", "link", "add", f"f{word}", "netns", names[0], "type", "veth",
            "peer", "name", f"g{word}", "netns", names[1])  # fmt: skip
        for number, (name, device) in enumerate(zip(names, (f"f{word}", f"g{word}"), strict=True)):
            run(*inside(name), "ip", "addr", "add", f"10.204.0.{number + 1}/24", "dev", device)
            run(*inside(name), "ip", "link", "set", device, "up")
            run(*inside(name), "ip", "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            left = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True)
            for pid in left.stdout.split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), 9)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
