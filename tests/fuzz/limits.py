"""What an input may cost: processor time and memory, far above what honest ones take."""

from __future__ import annotations

import resource
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

INPUT_CPU_S = 5
GROWTH_BYTES = 512 << 20


class TooSlowError(Exception):
    """An input took more processor time than INPUT_CPU_S."""


@contextmanager
def limited() -> Iterator[None]:
    """Raise TooSlowError where what is inside takes too long: processor time, not the clock's."""

    def ended(_number: int, _frame: object) -> None:
        raise TooSlowError(f"more than {INPUT_CPU_S} s of processor time")

    before = signal.signal(signal.SIGPROF, ended)
    signal.setitimer(signal.ITIMER_PROF, INPUT_CPU_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def peak_bytes() -> int:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
