"""Runs bpftrace: finds it, spawns one per probe, drains it, and ends it for certain."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from stackledger.capture import launcher
from stackledger.errors import CannotTraceError, StackledgerError

OLDEST = (0, 17)
_PIPE_BYTES = 1 << 20
_READ_BYTES = 1 << 20
_STDERR_BYTES = 64 << 10
_SKIPPED = re.compile(r"^recursion_misses:\s*(\d+)", re.MULTILINE)
_BUFFER_BYTES = 64 << 20  # of all CPUs together
_PAGE_BYTES = 4096
_STACK_TEXT_BYTES = 64


@dataclass(frozen=True, slots=True)
class Bpftrace:
    """The program: how it is called, and its version."""

    command: tuple[str, ...]
    version: tuple[int, int, int]

    def __str__(self) -> str:
        return ".".join(map(str, self.version))


def find(command: Sequence[str] | None = None) -> Bpftrace:
    """Return bpftrace and its version; raises CannotTraceError where it is missing or too old."""
    if command is None:
        found = shutil.which("bpftrace", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if found is None:
            raise CannotTraceError(
                "bpftrace is not installed",
                hint="apt-get install bpftrace, then stackledger doctor",
            )
        command = (found,)
    said = _version_text(tuple(command), _changed_ns(command[0]))
    version = re.search(r"v?(\d+)\.(\d+)(?:\.(\d+))?", said)
    if version is None:
        raise CannotTraceError("bpftrace does not tell its version", said[:100])
    numbers = (int(version[1]), int(version[2]), int(version[3] or 0))
    if numbers[:2] < OLDEST:
        raise CannotTraceError(
            "bpftrace is too old", said.strip(), hint="0.17 or later is needed: stackledger doctor"
        )
    return Bpftrace(tuple(command), numbers)


@lru_cache(maxsize=8)
def _version_text(command: tuple[str, ...], _changed_ns: int) -> str:
    """Return what it says of itself: asked once, for that takes 25 ms."""
    try:
        return subprocess.run(
            [*command, "--version"], capture_output=True, timeout=20, check=False, text=True
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise CannotTraceError("bpftrace cannot be started", failure) from None


def _changed_ns(program: str) -> int:
    with contextlib.suppress(OSError):
        return Path(program).stat().st_mtime_ns
    return 0


def _in_memory(name: str, content: bytes) -> int:
    """Return an open file that is nowhere on disk."""
    file = os.memfd_create(name)
    os.write(file, content)
    return file


def longest(bpftrace: Bpftrace, wanted_bytes: int) -> int:
    """Return how long a text this bpftrace can print: until 0.22 it builds them on the stack."""
    return wanted_bytes if bpftrace.version >= (0, 22) else min(wanted_bytes, _STACK_TEXT_BYTES)


def environment(
    bpftrace: Bpftrace, *, map_keys: int, string_bytes: int, user_symbols: bool = False
) -> dict[str, str]:
    """Return bpftrace's settings: 64 MiB of buffers over all CPUs, 64 pages each at least.

    Without `user_symbols` user functions are printed as addresses: symbols.py says why.
    """
    renamed = bpftrace.version >= (0, 22)  # the old names still work, with a warning
    per_cpu = _BUFFER_BYTES // _PAGE_BYTES // (os.cpu_count() or 1)
    pages = max(64, min(4096, 1 << (per_cpu.bit_length() - 1)))
    addresses = ("BPFTRACE_STACK_MODE", "raw") if renamed else ("BPFTRACE_NO_USER_SYMBOLS", "1")
    return {
        "BPFTRACE_PERF_RB_PAGES": str(pages),
        "BPFTRACE_MAX_MAP_KEYS" if renamed else "BPFTRACE_MAP_KEYS_MAX": str(map_keys),
        "BPFTRACE_MAX_STRLEN" if renamed else "BPFTRACE_STRLEN": str(string_bytes),
        **dict([] if user_symbols else [addresses]),
    }


class Tracer:
    """One bpftrace under way in a process group of its own."""

    def __init__(
        self,
        bpftrace: Bpftrace,
        name: str,
        program: str,
        settings: dict[str, str],
        *,
        quiet: bool = False,
        own: bool = False,
        btf: bytes = b"",
    ) -> None:
        """Start it; `quiet` where the program itself counts what a full map dropped.

        From 0.22 on bpftrace sends a warning for each such update: as many events as
        the map was to save, and system calls that may be counted in turn. `own` is a
        user's script, which may name its hooks in any way. `btf` stands for the
        kernel's types, where there is any.
        """
        self.stderr = b""
        self._misses_signals = bpftrace.version < (0, 20)
        # Not an argument: those are limited in size, and any user can read them.
        source, types = (_in_memory(name, text) for text in (program.encode(), btf))
        if btf:
            settings = {**settings, "BPFTRACE_BTF": f"/proc/self/fd/{types}"}
        try:
            self.process = subprocess.Popen(
                launcher.argv(
                    [
                        *(*bpftrace.command, *(["--no-warnings"] if quiet else [])),
                        *("-f", "json", f"/proc/self/fd/{source}"),
                    ],
                    "" if own else program,
                ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **settings},
                pass_fds=(source, types),
                process_group=0,
            )
        except OSError as failure:
            raise StackledgerError("bpftrace cannot be started", failure) from None
        finally:
            os.close(source)
            os.close(types)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out = self.process.stdout.fileno()
        self.err = self.process.stderr.fileno()
        for stream in (self.out, self.err):
            os.set_blocking(stream, False)
        with contextlib.suppress(OSError):  # an unprivileged user's limit
            fcntl.fcntl(self.out, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def read(self) -> bytes | None:
        """Return what is there on standard output, b"" if nothing, None at its end."""
        try:
            return os.read(self.out, _READ_BYTES) or None
        except BlockingIOError:
            return b""

    def read_errors(self) -> bool:
        """Take in standard error, of which the end is kept; return False at its end."""
        try:
            said = os.read(self.err, _STDERR_BYTES)
        except BlockingIOError:
            return True
        self.stderr = (self.stderr + said)[-_STDERR_BYTES:]
        return bool(said)

    def complaint(self) -> str:
        """Return the sentence of standard error that says what went wrong."""
        lines = [line.strip() for line in self.message()]
        errors = [line for line in lines if re.search("ERROR|FATAL|BUG|error:", line)]
        return (errors or lines or [self._end()])[0][:300]

    def message(self) -> list[str]:
        """Return all that it said on standard error, but for what is harmless."""
        lines = self.stderr.decode("utf-8", "replace").splitlines()
        return [line for line in lines if line.strip() and "RLIMIT_MEMLOCK" not in line]

    def wait(self, limit_s: float) -> int | None:
        """Return its exit code, None if it has not ended within the time."""
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None

    def _end(self) -> str:
        code = self.wait(1)
        if code is None:
            return "bpftrace closed its output"
        if code < 0:
            return f"bpftrace was ended by {signal.Signals(-code).name}"
        return f"bpftrace ended with exit code {code}"

    def ended(self) -> int | None:
        """Return its exit code, None while it runs."""
        return self.process.poll()

    def skipped(self) -> int:
        """Return how often the kernel did not run one of its programs.

        It skips a program of the kind tracepoints have while any other runs on the
        same CPU: when an interrupt comes in the middle of one.
        """
        total = 0
        with contextlib.suppress(OSError):
            for entry in Path(f"/proc/{self.process.pid}/fdinfo").iterdir():
                with contextlib.suppress(OSError):
                    found = _SKIPPED.search(entry.read_text(encoding="ascii"))
                    total += int(found[1]) if found else 0
        return total

    def interrupt(self) -> None:
        """Ask it to end: its END probes run and its maps are printed."""
        self._signal(signal.SIGINT)

    def remind(self) -> None:
        """Ask again, where it may not have noticed.

        Before 0.20 bpftrace misses a signal that comes while it reads its buffers;
        after, a second one ends it without its maps.
        """
        if self._misses_signals:
            self.interrupt()

    def end_at_once(self) -> None:
        """End it and its group; what it wrote before can still be read."""
        self._signal(signal.SIGKILL)

    def kill(self) -> None:
        """End it and its group at once, and close the pipes."""
        self.end_at_once()
        deadline = time.monotonic() + 10
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def _signal(self, number: int) -> None:
        # After it was waited for, its number may belong to someone else.
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)
