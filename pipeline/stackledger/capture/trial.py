"""Short runs of bpftrace that find something out and leave nothing behind."""

from __future__ import annotations

import os
import platform
import re
import secrets
import select
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger.capture import btf, kerneltypes, program
from stackledger.capture.bpftrace import Tracer, environment
from stackledger.capture.control import Control
from stackledger.capture.limits import attach_limit_s
from stackledger.capture.lines import Message, Row, read_line
from stackledger.errors import CannotTraceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stackledger.capture.bpftrace import Bpftrace

ATTACH_LIMIT_S = attach_limit_s("30s")
STACK_BYTES = 16384
_STOP_GRACE_S = 5.0
_SILENCE_S = 0.05
# Kernels with FRED (6.9 and later) keep 16 bytes above the saved registers.
_PADDINGS = (0, 16)
# As in a capture: they decide whether a program fits the kernel's limits.
_MAP_KEYS = 32768
_STRING_BYTES = 64
_ROWS_WANTED = 32


def attach(bpftrace: Bpftrace, name: str, text: str) -> str | None:
    """Return None when the program `text` attached to all it names, else bpftrace's reason.

    It is wrapped as in a capture: bpftrace says "attached" before it tries, so
    the program itself has to answer.
    """
    control = Control()
    deadline = time.monotonic() + ATTACH_LIMIT_S
    with _running(bpftrace, name, control.wrap(text)) as tracer:
        for said in _lines(tracer, deadline):
            if isinstance(said, Message) and said.kind == "attached":
                return None
            control.ask_ready()
        if time.monotonic() >= deadline:
            return f"did not attach within {ATTACH_LIMIT_S:.0f} s"
        return re.sub(r"^.*?ERROR:\s*", "", tracer.complaint())


def register_padding(bpftrace: Bpftrace) -> int | None:
    """Return how many bytes lie above a task's saved registers, None where unknown.

    The user's registers are `struct pt_regs` at the top of the kernel stack
    (16 KiB on x86-64), less this padding. Compares `orig_ax` there with the
    system call that `raw_syscalls:sys_enter` reports for a thread of our own,
    and believes a padding that is right every time. Raises CannotTraceError
    where bpftrace does not run that program.
    """
    if platform.machine() != "x86_64":
        return None
    # A name instead of a pid: it means the same in every pid namespace.
    name = f"sl-{secrets.token_hex(4)}"
    rows: list[list[int]] = []
    deadline = time.monotonic() + ATTACH_LIMIT_S
    with _calling_thread(name), _running(bpftrace, "registers", _registers_program(name)) as tracer:
        for said in _lines(tracer, deadline):
            if isinstance(said, Row) and said.table == "registers":
                rows.append([int(value) for value in said.values])
            if len(rows) == _ROWS_WANTED:
                return agreed_padding(rows)
        if time.monotonic() >= deadline:
            raise CannotTraceError(
                "bpftrace did not attach a small program in time",
                f"{ATTACH_LIMIT_S:g} s",
                hint="the host may be overloaded: try again, or stackledger doctor",
            )
        raise CannotTraceError(
            "bpftrace cannot run a small program", tracer.complaint(), hint="stackledger doctor"
        )


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


def _registers_program(name: str) -> str:
    top = f"(uint64)$t->stack + {STACK_BYTES} - sizeof(struct pt_regs)"
    reads = ", ".join(f"((struct pt_regs *)({top} - {pad}))->orig_ax" for pad in _PADDINGS)
    return (
        f"tracepoint:raw_syscalls:sys_enter /comm == {program.literal(name)}/ {{\n"
        "  $t = (struct task_struct *)curtask;\n"
        f'  print(("registers", args->id, {reads}));\n'
        "}\n"
    )


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


@contextmanager
def _running(bpftrace: Bpftrace, name: str, text: str) -> Iterator[Tracer]:
    prepared = kerneltypes.prepared(text, btf.of_kernel(), bpftrace.version)
    tracer = Tracer(
        bpftrace,
        name,
        prepared.text,
        environment(bpftrace, map_keys=_MAP_KEYS, string_bytes=_STRING_BYTES),
        btf=prepared.btf,
    )
    try:
        yield tracer
    finally:
        tracer.interrupt()
        deadline = time.monotonic() + _STOP_GRACE_S
        while tracer.ended() is None and time.monotonic() < deadline:
            tracer.read()
            tracer.read_errors()
            time.sleep(0.005)
        tracer.kill()


def _lines(tracer: Tracer, deadline: float) -> Iterator[Row | Message | None]:
    """Yield what it says, and None when it is silent, until it ends or the deadline comes."""
    rest = b""
    streams = {tracer.out, tracer.err}
    while streams and time.monotonic() < deadline:
        ready, _, _ = select.select(streams, [], [], _SILENCE_S)
        if not ready:
            yield None
        if tracer.err in ready and not tracer.read_errors():
            streams.discard(tracer.err)
        if tracer.out not in ready:
            continue
        piece = tracer.read()
        if piece is None:
            streams.discard(tracer.out)
            continue
        *lines, rest = (rest + piece).split(b"\n")
        yield from map(read_line, lines)
