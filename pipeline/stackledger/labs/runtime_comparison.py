"""The same small service in several languages: what each spends on CPU, network and disk."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackledger.analysis import figures
from stackledger.analysis.experiment import KERNEL, LEDGER, Figure, sql
from stackledger.errors import StackledgerError
from stackledger.labs import disk, folders, gateway, programs, servers
from stackledger.labs.lab import Lab, Load, Phase
from stackledger.labs.node_stack import cache

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ITEMS = 10_000
_SERVICES = Path(__file__).with_name("services")
# What runs the service of each phase; Go's is compiled first.
_LANGUAGES = {"python": "", "node": "node", "go": "go", "perl": "perl"}
_FILES = {"python": "service.py", "node": "service.js", "go": "service.go", "perl": "service.pl"}


@dataclass
class Runtimes:
    """A service per language, each ready; the load goes to one of them."""

    ports: Mapping[str, int]
    disk: disk.Disk
    language: str = "python"

    @property
    def url(self) -> str:
        """The chosen service's address."""
        return f"http://127.0.0.1:{self.ports[self.language]}"

    @property
    def inside(self) -> list[str]:
        """Nothing: it is on this host."""
        return []

    @property
    def values(self) -> Mapping[str, Any]:
        """The number of the disk that all of them write to."""
        return {"dev": self.disk.dev}

    def choose(self, language: str) -> None:
        """Send the load to that one from now on."""
        self.language = language


@contextmanager
def _stage(base: Path | None) -> Iterator[Runtimes]:
    present = [
        name
        for name, program in _LANGUAGES.items()
        if not program or programs.find_program(program) is not None
    ]
    ports = servers.free_ports(["cache", *present])
    with ExitStack() as running:
        folder = running.enter_context(folders.private_folder(base))
        own = running.enter_context(disk.disk(folder))
        running.enter_context(cache(folder, ports["cache"]))
        _fill(ports["cache"])
        for name in present:
            argv = [*_program(name, folder), str(ports[name]), str(ports["cache"])]
            argv.append(str(own.folder))
            service = running.enter_context(servers.server(name, argv, folder=folder))
            servers.wait_until(partial(gateway.healthy, ports[name]), service)
        answers = {gateway.get(f"http://127.0.0.1:{ports[name]}/work/4711") for name in present}
        if len(answers) != 1:
            raise StackledgerError("the services give different answers", answers)
        yield Runtimes(ports, own)


def _program(name: str, folder: Path) -> list[str]:
    """Return what runs a language's service, before its arguments."""
    source = _SERVICES / _FILES[name]
    if name == "python":
        return [*servers.python(), str(source)]
    found = programs.programs([_LANGUAGES[name]])[_LANGUAGES[name]]
    if name != "go":
        return [found, str(source)]
    binary = folder / "service-go"
    home = {"HOME": str(folder), "GOCACHE": str(folder / "go"), "GO111MODULE": "off"}
    done = subprocess.run(
        [found, "build", "-o", str(binary), str(source)],
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StackledgerError("the service in Go was not compiled", done.stderr.strip()[:200])
    return [str(binary)]


def _fill(port: int) -> None:
    """Give Redis the items that are asked for."""
    words = ["MSET"]
    for number in range(1, ITEMS + 1):
        words += [f"item:{number}", f"value-{number}"]
    command = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as redis:
        redis.sendall(f"*{len(words)}\r\n{command}".encode())
        if redis.recv(64) != b"+OK\r\n":
            raise StackledgerError("Redis did not take the lab's items")


def _mean(name: str, columns: str) -> Figure:
    return sql(
        LEDGER.replace("slow", "mean").partition(" (")[0],
        name,
        "ns",
        f"SELECT avg({columns}) FROM requests WHERE parent_sock IS NULL AND complete",  # noqa: S608 - names of columns
    )


def _phase(name: str, done: str) -> Phase[Runtimes]:
    program = _LANGUAGES[name]
    return Phase(name, done, lambda it: it.choose(name), needs=(program,) if program else ())


LAB: Lab[Runtimes] = Lab(
    name="runtime-comparison",
    question="The same service in several languages: computes, asks Redis, writes to a disk.",
    answer=(
        "All give the same answers to the same requests. Disk and network take what they"
        " take, whoever asks; the rest is the runtime's. Node.js leaves files to threads of"
        " its own: the wait for them is in 'otherwise off the CPU'."
    ),
    programs=("redis-server", "setpriv", "chrt", *disk.PROGRAMS),
    stage=_stage,
    load=Load((f"/work/{{1-{ITEMS}}}",), connections=4, rate_hz=80.0),
    phases=(
        _phase("python", "a thread per connection"),
        _phase("node", "one event loop, files in its thread pool"),
        _phase("go", "a goroutine per connection"),
        _phase("perl", "a process per connection"),
    ),
    figures=(
        *figures.SEEN,
        _mean("on a CPU", "cpu_ns"),
        _mean("waiting for a CPU", "runq_ns"),
        _mean("the disk", "disk_ns"),
        _mean("Redis, and the network to it", "net_ns + downstream_ns"),
        _mean("waiting for a lock", "lock_ns"),
        _mean("arrived, not yet read", "queue_ns"),
        _mean("otherwise off the CPU", "sleep_ns + other_ns"),
        _mean("unexplained", "unexplained_ns"),
        _mean("sum", "wall_ns"),
        sql(
            KERNEL,
            "CPU time in all, answered or not",
            "ns",
            "SELECT avg(cpu_spent_ns) FROM requests WHERE parent_sock IS NULL",
        ),
        figures.DISK_P50,
        figures.CONTEXT_SWITCHES,
    ),
)
