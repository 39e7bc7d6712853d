"""Starts real servers in a private folder, and takes every trace of them away again.

Everything is a context manager, so that a start that fails half-way, Ctrl-C and
an exception in the middle of an experiment all end in the same clean-up. Each
server is the leader of its own process group, and the kernel sends it its stop
signal should this program be killed outright.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from stackledger.errors import StackledgerError
from stackledger.labs.programs import programs

_PORTS = (20_000, 32_000)
_FOLDER = "stackledger-lab-"
_SETTLED_S = 10.0
_READY_S = 20.0
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
        port = random.randrange(*_PORTS)
        if port not in chosen.values() and _bind_failure(port) is None:
            chosen[names[len(chosen)]] = port
    return chosen


def require_free(name: str, port: int) -> None:
    """Raise if something listens on the port that the server `name` is to use."""
    if failure := _bind_failure(port):
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


def module_path() -> dict[str, str]:
    """Return the environment in which `module` finds this very package, installed or not."""
    source = str(Path(__file__).resolve().parents[2])
    return {"PYTHONPATH": os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))}


@contextmanager
def private_folder(base: Path | None) -> Iterator[Path]:
    """Make a folder for a lab and remove it at the end.

    /var/tmp rather than /tmp, which is often in memory: nothing would ever be
    read from a disk. Servers running as another user may pass through it, and
    not list it. A folder that a killed lab left there is removed too: the
    owner of a living one holds a lock on it.
    """
    home = base or Path("/var/tmp")
    for old in home.glob(_FOLDER + "*"):
        _remove_abandoned(old)
    try:
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=home))
    except OSError as failure:
        raise StackledgerError("cannot make the lab's folder", failure) from failure
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder.chmod(0o711)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_abandoned(folder: Path) -> None:
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(lock)
        # One made a moment ago may not be locked yet.
        if status.st_uid == os.geteuid() and time.time() - status.st_mtime > _SETTLED_S:
            shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(lock)


@contextmanager
def server(
    name: str,
    argv: list[str],
    *,
    folder: Path,
    user: str | None = None,
    stop: signal.Signals = signal.SIGTERM,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run a server for as long as the context lasts; its output goes to NAME.log."""
    log = folder / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*_privileges(user, stop), *argv],
            stdin=subprocess.DEVNULL,
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


def run_as(user: str, argv: list[str], *, folder: Path, name: str, script: bytes = b"") -> None:
    """Run a program to its end as `user`, fed with `script`; raises if it fails."""
    log = folder / f"{name}.log"
    with log.open("ab") as output:
        done = subprocess.run(
            [*_privileges(user, signal.SIGKILL), *argv],
            input=script,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            process_group=0,
            check=False,
        )
    if done.returncode != 0:
        raise StackledgerError(f"{name} failed", last_line(log))


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
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (parent := _parent(int(entry))) is not None:
            children.setdefault(parent, []).append(int(entry))
    found = sorted(children.get(pid, []))
    for child in found:
        found.extend(sorted(children.get(child, [])))
    return found


def _parent(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
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
    """End a server and all its descendants: politely, then by force."""
    # Taken before the signal: orphans cannot be found from their old parent.
    # A descriptor of each, because a number may soon mean another process.
    family: list[int] = []
    try:
        for pid in (process.pid, *descendants(process.pid)):
            try:
                family.append(os.pidfd_open(pid))
            except OSError:
                continue
        process.send_signal(stop)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
    finally:
        for descriptor in family:
            with suppress(OSError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            os.close(descriptor)
        process.kill()
        process.wait()
