"""Starts real servers in a private folder, and takes every trace of them away again.

Everything is a context manager, so that a start that fails half-way, Ctrl-C and
an exception in the middle of an experiment all end in the same clean-up. Each
server is the leader of its own process group, and the kernel sends it its stop
signal should this program be killed outright.
"""

from __future__ import annotations

import os
import pwd
import random
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger.errors import StackledgerError
from stackledger.labs.places import HERE, Place
from stackledger.labs.programs import programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_PORTS = (20_000, 32_000)
_READY_S = 20.0
_RUN_S = 60.0
_STOP_S = 10.0


@dataclass(frozen=True)
class Server:
    """A running server: its name in the stack, its process, its log file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def pids(self) -> list[int]:
        """Return the server's process and every descendant, in start order."""
        return [self.process.pid, *descendants(self.process.pid)]


def free_ports(names: Sequence[str]) -> dict[str, int]:
    """Return a TCP port for each name that is free on loopback at this moment.

    Below the range the kernel takes ports of outgoing connections from (32768
    upwards by default): those of the stack's own clients could take one of them.
    """
    chosen: dict[str, int] = {}
    while len(chosen) < len(names):
        port = random.randrange(*_PORTS)  # noqa: S311 - no secret
        if port not in chosen.values() and _bind_failure(port) is None:
            chosen[names[len(chosen)]] = port
    return chosen


def require_free(name: str, port: int, place: Place = HERE) -> None:
    """Raise if something listens on the port that the server `name` is to use."""
    if failure := place.ask(lambda: _bind_failure(port)):
        raise StackledgerError(f"the {name}'s port cannot be used", f"{port}: {failure.strerror}")


def _bind_failure(port: int) -> OSError | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as failure:
            return failure
    return None


def module(name: str) -> list[str]:
    """Return the command that runs a module of this package with this interpreter."""
    return [sys.executable, "-P", "-m", name]


def python() -> list[str]:
    """Return the command that runs a file with this interpreter, and nothing installed for it."""
    return [sys.executable, "-I"]


def module_path() -> dict[str, str]:
    """Return the environment in which `module` finds this very package, installed or not."""
    source = str(Path(__file__).resolve().parents[2])
    return {"PYTHONPATH": os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))}


@contextmanager
def server(
    name: str,
    argv: list[str],
    *,
    folder: Path,
    user: str | None = None,
    stop: signal.Signals = signal.SIGTERM,
    environment: Mapping[str, str] | None = None,
    source: Path | None = None,
    place: Place = HERE,
) -> Iterator[Server]:
    """Run a server for as long as the context lasts; its output goes to NAME.log."""
    log = folder / f"{name}.log"
    with log.open("ab") as output, (source or Path(os.devnull)).open("rb") as script:
        process = subprocess.Popen(
            [*place.inside, *_privileges(user, stop), *argv],
            stdin=script,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            process_group=0,
        )
    try:
        yield Server(name, process, log)
    finally:
        _stop(process, stop)


def run_as(
    user: str, argv: list[str], *, folder: Path, name: str, script: Path | None = None
) -> None:
    """Run a program to its end as `user`, its input from a file; raises if it fails."""
    with server(name, argv, folder=folder, user=user, source=script) as it:
        try:
            code = it.process.wait(_RUN_S)
        except subprocess.TimeoutExpired:
            raise StackledgerError(f"{name} took longer than {_RUN_S:.0f} s") from None
        if code != 0:
            raise StackledgerError(f"{name} failed", last_line(it.log))


def wait_until(ready: Callable[[], bool], running: Server, *, limit_s: float = _READY_S) -> None:
    """Return when `ready()` is true; raises when the server ends first or takes too long."""
    deadline = time.monotonic() + limit_s
    while not ready():
        if running.process.poll() is not None:
            raise StackledgerError(f"the {running.name} did not start", last_line(running.log))
        if time.monotonic() > deadline:
            raise StackledgerError(
                f"the {running.name} was not ready after {limit_s:.0f} s", last_line(running.log)
            )
        time.sleep(0.02)


def accepts(port: int) -> bool:
    """Return whether something accepts connections on this loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def last_line(log: Path) -> str:
    """Return the last line that a server wrote, to be quoted in an error."""
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing")


def descendants(pid: int) -> list[int]:
    """Return every process below `pid`, parents before children."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _parent(entry)) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found = sorted(children.get(pid, []))
    for child in found:
        found.extend(sorted(children.get(child, [])))
    return found


def _parent(process: Path) -> int | None:
    try:
        stat = (process / "stat").read_text(errors="replace")
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[1])


def _privileges(user: str | None, stop: signal.Signals) -> list[str]:
    """Return the prefix that sets the user, and the signal sent when this program dies."""
    prefix = [programs(["setpriv"])["setpriv"], "--pdeathsig", stop.name.removeprefix("SIG")]
    if user is not None:
        entry = pwd.getpwnam(user)
        prefix += ["--reuid", str(entry.pw_uid), "--regid", str(entry.pw_gid), "--clear-groups"]
    return [*prefix, "--"]


def _stop(process: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    """End a server and all its descendants, politely and then by force; return when all are gone.

    Their descriptors are taken before the signal: an orphan cannot be found from
    its old parent, and a number may soon mean another process.
    """
    family: list[int] = []
    try:
        for pid in descendants(process.pid):
            with suppress(ProcessLookupError):
                family.append(os.pidfd_open(pid))
        process.send_signal(stop)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
    finally:
        process.kill()
        process.wait()
        for descriptor in family:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            select.select([descriptor], (), (), _STOP_S)
            os.close(descriptor)
        _end_group(process.pid)


def _end_group(leader: int) -> None:
    """Kill what a server forked in its last moment, until its process group is empty."""
    deadline = time.monotonic() + _STOP_S
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(leader, signal.SIGKILL)
            time.sleep(0.005)
