"""What a recording costs the host: its bpftraces, their programs in the kernel, and itself.

The kernel tells how long programs ran while somebody asks it to, which costs two
readings of the clock a run: it is asked during one second in five, and what ran then
stands for the others; with a budget during all of them. Not in it is what the kernel
spends on calling a program and on waking bpftrace: bench/overhead.py measures that.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import re
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from stackledger.capture.stream import Stream
from stackledger.manifest import Overhead

_BPF_SYSCALL, _BPF_ENABLE_STATS, _RUN_TIME = 321, 32, 0  # x86-64
_ASKED_EVERY = 5
_RUN = re.compile(rb"^run_time_ns:\s*(\d+)", re.MULTILINE)
_LATELY_S = 3.0
OWN = ""  # stackledger's own part, beside the probes'


@dataclass(slots=True)
class _Account:
    """One probe's: CPU times in ns, of bpftrace at the last look and since the first."""

    process: psutil.Process | None
    programs: list[str]  # the files that tell of them
    seen_ns: int
    tracer_ns: int = 0
    asked_ns: int = 0  # how long the kernel was asked for the programs' time
    ran_ns: int = 0  # and what they ran meanwhile
    elapsed_ns: int = 0
    ran_at: int = 0

    @property
    def programs_ns(self) -> int | None:
        """The programs' time over all, None where the kernel did not tell."""
        return self.ran_ns * self.elapsed_ns // self.asked_ns if self.asked_ns else None

    @property
    def cost_ns(self) -> int:
        """What is known of it."""
        return self.tracer_ns + (self.programs_ns or 0)


@dataclass(slots=True)
class Meter:
    """Adds up what the running probes cost; `tick` about every second."""

    steady: bool  # ask the kernel all the time
    cpus: int = field(default_factory=lambda: os.cpu_count() or 1)
    _accounts: dict[str, _Account] = field(default_factory=dict)
    _recent: deque[tuple[int, dict[str, int]]] = field(default_factory=deque)
    _asking: int = -1
    _ticks: int = 0
    _begun_ns: int = 0
    _last_ns: int = 0
    _own_at: int = 0

    def begin(self, streams: Iterable[Stream]) -> None:
        """Start the accounts: what attaching took is not in them."""
        self._begun_ns = self._last_ns = time.monotonic_ns()
        self._own_at = time.process_time_ns()
        for stream in streams:
            process = _process(stream.tracer.process.pid)
            self._accounts[stream.run.name] = _Account(
                process, _programs(stream.tracer.process.pid), _cpu_ns(process)
            )
        self._ask()
        self._recent.append((self._begun_ns, self._totals()))

    def tick(self, streams: Iterable[Stream]) -> None:
        """Take in what was used since the last look."""
        now = time.monotonic_ns()
        for stream in streams:
            account = self._accounts.get(stream.run.name)
            if account is None or not stream.open:
                continue
            used = _cpu_ns(account.process)
            account.tracer_ns += max(0, used - account.seen_ns)
            account.seen_ns = max(used, account.seen_ns)
            account.elapsed_ns += now - self._last_ns
            if self._asking >= 0:
                ran = _ran_ns(account.programs)
                account.asked_ns += now - self._last_ns
                account.ran_ns += max(0, ran - account.ran_at)
        self._last_ns = now
        self._ticks += 1
        self._ask()
        self._recent.append((now, self._totals()))
        while len(self._recent) > 2 and now - self._recent[1][0] >= _LATELY_S * 1e9:
            self._recent.popleft()

    def end(self, streams: Sequence[Stream]) -> Overhead:
        """Return the whole account, and note each probe's own in its run."""
        self.tick(streams)
        self._stop_asking()
        for stream in streams:
            if account := self._accounts.get(stream.run.name):
                stream.run.bpftrace_cpu_ns = account.tracer_ns
                stream.run.programs_cpu_ns = account.programs_ns
        return Overhead(
            elapsed_ns=self._last_ns - self._begun_ns,
            cpus=self.cpus,
            stackledger_cpu_ns=self._totals()[OWN],
        )

    def lately(self) -> tuple[float, dict[str, float]] | None:
        """Return the share of the host's CPU time of the last seconds: in all, by part.

        None until there are enough of them.
        """
        (begun, before), (now, after) = self._recent[0], self._recent[-1]
        if now - begun < _LATELY_S * 1e9:
            return None
        available = (now - begun) * self.cpus
        shares = {name: (after[name] - before[name]) / available for name in after}
        return sum(shares.values()), shares

    def forget(self) -> None:
        """Begin the last seconds anew, for what was used will not go on so."""
        while len(self._recent) > 1:
            self._recent.popleft()

    def _totals(self) -> dict[str, int]:
        own = time.process_time_ns() - self._own_at
        return {OWN: own, **{name: one.cost_ns for name, one in self._accounts.items()}}

    def _ask(self) -> None:
        wanted = self.steady or self._ticks % _ASKED_EVERY == 0
        if wanted and self._asking < 0:
            self._asking = _ask_kernel()
        elif not wanted:
            self._stop_asking()
        if self._asking >= 0:
            for account in self._accounts.values():
                account.ran_at = _ran_ns(account.programs)

    def _stop_asking(self) -> None:
        if self._asking >= 0:
            os.close(self._asking)
            self._asking = -1


def _ask_kernel() -> int:
    """Have the kernel time programs until the file is closed, -1 where it does not.

    A file and not the sysctl: it ends with this process, however that ends.
    """
    if platform.machine() != "x86_64":  # the call has another number there
        return -1
    kind = ctypes.c_uint32(_RUN_TIME)
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    return int(syscall(_BPF_SYSCALL, _BPF_ENABLE_STATS, ctypes.byref(kind), ctypes.sizeof(kind)))


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _cpu_ns(process: psutil.Process | None) -> int:
    """Return the CPU time of a bpftrace, 0 where it has ended."""
    try:
        return int(sum(process.cpu_times()[:2]) * 1e9) if process else 0
    except psutil.Error:
        return 0


def _programs(pid: int) -> list[str]:
    """Return the files that tell of the programs that a bpftrace has loaded."""
    with contextlib.suppress(OSError):
        paths = map(str, Path(f"/proc/{pid}/fdinfo").iterdir())
        return [path for path in paths if b"prog_id:" in _read(path)]
    return []


def _ran_ns(programs: list[str]) -> int:
    found = (_RUN.search(_read(path)) for path in programs)
    return sum(int(one[1]) for one in found if one)


def _read(path: str) -> bytes:
    """Return a small file's content, nothing where it is gone: quicker than pathlib."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(file, 4096)
    except OSError:
        return b""
    finally:
        os.close(file)
