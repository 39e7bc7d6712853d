"""What happened to the host's clocks during a capture: the wall clock was set, the host slept.

Every row's time is the boot clock's plus one offset, that of the start: rows keep their
order and their distances whatever happens to the wall clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from stackledger.manifest import Anchor

# NTP turns the wall clock by 500 ppm, and adjtime() by as much on top: that is no step.
_SLEW_PPM = 1000


@dataclass(frozen=True, slots=True)
class Step:
    """The wall clock was set by `by_ns`, somewhere between two anchors (boot clock)."""

    after_ns: int
    before_ns: int
    by_ns: int


def steps(clock: Sequence[Anchor]) -> list[Step]:
    """Return when the wall clock moved further than NTP turns it; what went back unseen is none."""
    found = []
    for one, other in pairwise(clock):
        by_ns = other.offset_ns - one.offset_ns
        turned_ns = (other.boottime_ns - one.boottime_ns) * _SLEW_PPM // 1_000_000
        if abs(by_ns) > turned_ns + one.error_ns + other.error_ns:
            found.append(Step(one.boottime_ns, other.boottime_ns, by_ns))
    return found


def suspended_ns(clock: Sequence[Anchor]) -> int:
    """Return how long the host slept during the capture; 0 where the anchors do not tell."""
    slept = 0
    for one, other in pairwise(clock):
        if one.suspended_ns is not None and other.suspended_ns is not None:
            by_ns = other.suspended_ns - one.suspended_ns
            slept += by_ns if by_ns > one.error_ns + other.error_ns else 0
    return slept
