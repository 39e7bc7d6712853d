"""Network interfaces, from /proc/net/dev, with the speed of their links."""

from __future__ import annotations

import socket

from stackledger.capture.counters.files import Counts, Row, Tables, integer, since, text

_COLUMNS = {
    "recv_bytes": 0,
    "recv_packets": 1,
    "recv_errors": 2,
    "recv_drops": 3,
    "send_bytes": 8,
    "send_packets": 9,
    "send_errors": 10,
    "send_drops": 11,
}
_MBIT = 1_000_000
# A driver may have to ask its card: not every second.
_ASK_SPEED_EVERY_NS = 30_000_000_000

Key = tuple[str, int]


class Interfaces:
    """Rows of host_net."""

    def __init__(self) -> None:
        self._before: dict[Key, Counts] = {}
        self._before_ns = 0
        self._speeds: dict[Key, tuple[int, int | None]] = {}

    def rows(self, now_ns: int) -> Tables:
        """Return what each interface did since the last call."""
        # The number tells an interface from a later one of the same name.
        numbers = {name: number for number, name in socket.if_nameindex()}
        after = {
            (name, numbers[name]): counts
            for name, counts in reading(text("/proc/net/dev")).items()
            if name in numbers
        }
        found = difference(self._before, after, now_ns - self._before_ns)
        self._speeds = {key: speed for key, speed in self._speeds.items() if key in after}
        for row in found:
            name: str = row["interface"]
            row["link_bps"] = self._speed((name, numbers[name]), now_ns)
        self._before, self._before_ns = after, now_ns
        return {"host_net": found}

    def _speed(self, key: Key, now_ns: int) -> int | None:
        asked_ns, known = self._speeds.get(key, (0, None))
        if asked_ns == 0 or now_ns - asked_ns > _ASK_SPEED_EVERY_NS:
            known = speed(integer(f"/sys/class/net/{key[0]}/speed"))
            self._speeds[key] = (now_ns, known)
        return known


def reading(dev: str) -> dict[str, Counts]:
    """Return the counters of each interface; neither name nor number can hold a colon."""
    found = {}
    for line in dev.splitlines()[2:]:
        name, _, numbers = line.partition(":")
        words = numbers.split()
        found[name.strip()] = {column: int(words[at]) for column, at in _COLUMNS.items()}
    return found


def difference(before: dict[Key, Counts], after: dict[Key, Counts], interval_ns: int) -> list[Row]:
    """Return a row for each interface of both readings whose counters did not go back."""
    rows = []
    for (name, number), now in after.items():
        then = before.get((name, number))
        grown = None if then is None else since(then, now)
        if grown is not None:
            rows.append({"interval_ns": interval_ns, "interface": name, **grown})
    return rows


def speed(mbit: int | None) -> int | None:
    """Return bits a second; None where the driver does not know (-1, or 2^32 - 1 of old ones)."""
    return mbit * _MBIT if mbit is not None and 0 < mbit < (1 << 32) - 1 else None
