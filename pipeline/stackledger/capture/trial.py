"""Short runs of bpftrace that find something out and leave nothing behind."""

from __future__ import annotations

import json
import os
import platform
import queue
import re
import secrets
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# An emulated kernel needs up to 25 s to attach a long program.
ATTACH_LIMIT_S = 30.0
_STOP_GRACE_S = 5.0
# Kernels with FRED (6.9 and later) keep 16 bytes above the saved registers.
_PADDINGS = (0, 16)
_ROWS_WANTED = 32
# bpftrace (0.17 to at least 0.23) writes "attached_probes" before it attaches
# the first one; rows it reads only once all are attached.
_PROOF_WORD = b"stackledger_attached"
_PROOF = f'\ninterval:ms:20 {{ print(("{_PROOF_WORD.decode()}", nsecs)); }}\n'


def attach(bpftrace: str, program: str, *, env: Mapping[str, str] | None = None) -> str | None:
    """Return None when `program` attached to all it names, else bpftrace's reason."""
    deadline = time.monotonic() + ATTACH_LIMIT_S
    with _running(bpftrace, program + _PROOF, env) as run:
        for line in run.lines(deadline):
            if _PROOF_WORD in line:
                return None
    if time.monotonic() >= deadline:
        return f"did not attach within {ATTACH_LIMIT_S:.0f} s"
    return first_error(run.complaints())


def register_padding(bpftrace: str) -> int | None:
    """Return how many bytes lie above a task's saved registers, None where unknown.

    The user's registers are `struct pt_regs` at the top of the kernel stack
    (16 KiB on x86-64), less this padding. Compares `orig_ax` there with the
    system call that `raw_syscalls:sys_enter` reports for a thread of our own,
    and believes a padding that is right every time.
    """
    if platform.machine() != "x86_64":
        return None
    # A name instead of a pid: it means the same in every pid namespace.
    name = f"sl-{secrets.token_hex(4)}"
    rows: list[list[int]] = []
    with _calling_thread(name), _running(bpftrace, _registers_program(name), None) as run:
        for line in run.lines(time.monotonic() + ATTACH_LIMIT_S):
            row = _registers_row(line)
            if row is not None:
                rows.append(row)
            if len(rows) == _ROWS_WANTED:
                break
    return agreed_padding(rows)


def agreed_padding(rows: list[list[int]]) -> int | None:
    """Return the padding whose register equals the system call in every row.

    A row is the system call, then what was read at each candidate. One kind
    of system call alone could be a coincidence: at least two are needed.
    """
    if len({row[0] for row in rows}) < 2:
        return None
    for column, padding in enumerate(_PADDINGS, start=1):
        if all(row[column] == row[0] for row in rows):
            return padding
    return None


def first_error(complaints: str) -> str:
    """Return the sentence of bpftrace's standard error that says what went wrong."""
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    lines = [line for line in lines if "RLIMIT_MEMLOCK" not in line]  # harmless
    errors = [line for line in lines if "ERROR" in line]
    shown = (errors or lines or ["bpftrace ended without a word"])[0]
    return re.sub(r"^.*?ERROR:\s*", "", shown)


def _registers_program(name: str) -> str:
    top = "(uint64)$t->stack + 16384 - sizeof(struct pt_regs)"
    reads = ", ".join(f"((struct pt_regs *)({top} - {pad}))->orig_ax" for pad in _PADDINGS)
    return (
        f'tracepoint:raw_syscalls:sys_enter /comm == "{name}"/ {{\n'
        "  $t = (struct task_struct *)curtask;\n"
        f'  print(("registers", args->id, {reads}));\n'
        "}\n"
    )


def _registers_row(line: bytes) -> list[int] | None:
    try:
        data = json.loads(line)["data"]
        return [int(value) for value in data[1:]] if data[0] == "registers" else None
    except (ValueError, KeyError, TypeError, IndexError):
        return None


@contextmanager
def _calling_thread(name: str) -> Iterator[None]:
    """Keep a thread called `name` making system calls of two kinds."""
    done = threading.Event()

    def call() -> None:
        Path("/proc/thread-self/comm").write_text(name)
        while not done.wait(0.001):
            os.getppid()
            os.sched_yield()

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class _Run:
    """A bpftrace under way: both streams are drained, whatever it writes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._complaints: list[bytes] = []
        self._readers = [
            threading.Thread(target=self._read_output, daemon=True),
            threading.Thread(target=self._read_complaints, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def lines(self, deadline: float) -> Iterator[bytes]:
        """Yield its lines of output until it ends, or the deadline comes."""
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                return
            if line is None:
                return
            yield line

    def complaints(self) -> str:
        """Return all of its standard error; it has to be over."""
        self._readers[1].join()
        return b"".join(self._complaints).decode(errors="replace")

    def stop(self) -> None:
        """End it and everything it started: SIGINT, a grace period, SIGKILL."""
        self.signal(signal.SIGINT)
        try:
            self.process.wait(_STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def _read_output(self) -> None:
        for line in self.process.stdout or ():
            self._lines.put(line)
        self._lines.put(None)

    def _read_complaints(self) -> None:
        self._complaints.extend(self.process.stderr or ())


@contextmanager
def _running(bpftrace: str, program: str, env: Mapping[str, str] | None) -> Iterator[_Run]:
    process = subprocess.Popen(
        [bpftrace, "-f", "json", "-e", program],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(env or {})},
        start_new_session=True,
    )
    run = _Run(process)
    try:
        yield run
    finally:
        run.stop()
