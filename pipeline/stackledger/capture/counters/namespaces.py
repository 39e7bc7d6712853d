"""Network namespaces: those that a process lives in, and those that have a name."""

from __future__ import annotations

import os
from contextlib import suppress

# Seen through a process: /proc/PID/net is that of its namespace.
_LOOK_EVERY = 5
# Other namespaces than the recorder's per second: a host of pods has hundreds.
_TURN = 16


class Namespaces:
    """Knows each namespace by inode; those of pods that appear within 5 s."""

    def __init__(self) -> None:
        self.own = os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116 - the link's target
        self.alive: dict[int, int] = {self.own: os.getpid()}
        self._age = 0
        self._next = 0

    def turn(self) -> list[tuple[int, str]]:
        """Return (inode, /proc/PID/net) of the recorder's own, and of the next 16 others."""
        others = sorted(self.alive.keys() - {self.own})
        if len(others) > _TURN:
            others = (others + others)[self._next % len(others) :][:_TURN]
        return [(number, f"/proc/{self.alive[number]}/net") for number in (self.own, *others)]

    def look(self) -> None:
        """Go on to the next turn; every five calls look for namespaces."""
        self._next += _TURN
        if self._age % _LOOK_EVERY == 0:
            self._look()
        self._age += 1

    def _look(self) -> None:
        found = {self.own: os.getpid()}
        for name in os.listdir("/proc"):  # noqa: PTH208
            if name.isdigit():
                with suppress(OSError):
                    number = os.stat(f"/proc/{name}/ns/net").st_ino  # noqa: PTH116
                    found.setdefault(number, int(name))
        self.alive = found
