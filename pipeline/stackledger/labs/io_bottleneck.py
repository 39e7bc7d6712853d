"""Saving waits for a disk that allows too few writes; CPU and memory look fine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackledger.analysis import figures
from stackledger.analysis.experiment import KERNEL, sql
from stackledger.labs import disk
from stackledger.labs.lab import Lab, Load, Phase
from stackledger.labs.stack import PROGRAMS, SAVE_PATH, Stack, stack

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

# Writes a second that the disk allows: a small volume, and a larger one.
_FEW, _ENOUGH = 40, 1000
_WRITTEN = """
(
  SELECT count(*) * 1e9 / any_value(dur_ns) FROM block_io, span
  WHERE dev = $dev AND rwbs LIKE 'W%' AND bytes > 0
)
"""


def _stage(base: Path | None) -> AbstractContextManager[Stack]:
    return stack(own_disk=True, limited=("app", "database"), base=base)


LAB: Lab[Stack] = Lab(
    name="io-bottleneck",
    question="An application whose saving waits for a disk that allows too few writes.",
    answer=(
        "Only the disk's limit on writes was changed. No CPU and no memory would lift it:"
        " compare the first two lines of the table with the others."
    ),
    programs=(*PROGRAMS, *disk.PROGRAMS),
    stage=_stage,
    load=Load((SAVE_PATH,), connections=8, rate_hz=60.0),
    phases=(
        Phase("baseline", "the disk as it is", lambda it: it.set_iops(None, None), {"limit": None}),
        Phase(
            "fault",
            f"the disk allows {_FEW} writes a second",
            lambda it: it.set_iops(None, _FEW),
            {"limit": _FEW},
        ),
        Phase(
            "cure",
            f"the disk allows {_ENOUGH} writes a second",
            lambda it: it.set_iops(None, _ENOUGH),
            {"limit": _ENOUGH},
        ),
    ),
    figures=(
        *figures.SEEN,
        *figures.PARTS,
        figures.DISK_P50,
        figures.DISK_P99,
        figures.DISK_BUSY,
        sql(KERNEL, "writes/s", "hz", f"SELECT {_WRITTEN}"),
        sql(KERNEL, "of the disk's limit", "share", f"SELECT {_WRITTEN} / $limit::DOUBLE"),
        sql(KERNEL, "fsync p99", "ns", "SELECT quantile_disc(dur_ns, 0.99) FROM fsync"),
    ),
)
