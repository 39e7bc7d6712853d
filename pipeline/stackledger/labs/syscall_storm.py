"""An application that reads a file in tiny pieces: a hundred thousand system calls a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackledger.analysis import figures
from stackledger.analysis.experiment import KERNEL, sql
from stackledger.labs.lab import Lab, Load, Phase
from stackledger.labs.stack import PROGRAMS, Stack, stack

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

_WHOLE, _TINY = 65536, 16
_CALLS = """
SELECT sum(calls) * 1e9 / (SELECT dur_ns FROM span)
FROM syscall_count JOIN syscall_name USING (syscall)
"""


def _stage(base: Path | None) -> AbstractContextManager[Stack]:
    return stack(base=base)


def _load(chunk_bytes: int) -> Load:
    return Load((f"/api/document?chunk={chunk_bytes}",), connections=4, rate_hz=30.0)


def _nothing(_it: Stack) -> None:
    """The fault is in what is asked for."""


LAB: Lab[Stack] = Lab(
    name="syscall-storm",
    question="An application that reads a file of 64 KiB in pieces of 16 bytes.",
    answer=(
        "Only the size of a read was changed. The same bytes in pieces of 16 take 4096 ways into"
        " the kernel and back: larger pieces mend it, not a faster CPU."
    ),
    programs=PROGRAMS,
    stage=_stage,
    load=_load(_WHOLE),
    phases=(
        Phase("baseline", "one read of 64 KiB", _nothing),
        Phase("fault", "4096 reads of 16 bytes", _nothing, load=_load(_TINY)),
        Phase("cure", "one read of 64 KiB again", _nothing),
    ),
    figures=(
        *figures.SEEN,
        *figures.PARTS,
        sql(KERNEL, "system calls/s", "hz", _CALLS),
        sql(KERNEL, "of them reads/s", "hz", f"{_CALLS} WHERE name IN ('read', 'pread64')"),
        sql(
            KERNEL,
            "mean time in a read",
            "ns",
            """
            SELECT sum(total_ns) / sum(calls) FROM syscall_count JOIN syscall_name USING (syscall)
            JOIN (SELECT DISTINCT pid FROM requests WHERE layer = 'app') USING (pid)
            WHERE name = 'read'
            """,
        ),
        figures.CONTEXT_SWITCHES,
    ),
    probes=("syscall_count", "context_switch"),
    warm_up=100,
)
