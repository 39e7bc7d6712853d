"""The kernel's counters of IP, ICMP, TCP and UDP, for each network namespace."""

from __future__ import annotations

from dataclasses import dataclass

from stackledger.capture.counters.files import Row, Tables, content
from stackledger.capture.counters.namespaces import Namespaces

# Settings, not counters.
_SETTINGS = frozenset(
    {
        ("Ip", "Forwarding"),
        ("Ip", "DefaultTTL"),
        ("Tcp", "RtoAlgorithm"),
        ("Tcp", "RtoMin"),
        ("Tcp", "RtoMax"),
        ("Tcp", "MaxConn"),
    }
)
_LEVELS = frozenset({("Tcp", "CurrEstab"), ("MPTcpExt", "MPCurrEstab")})
_FILES = ("snmp", "netstat", "snmp6")
_OF_6 = ("UdpLite6", "Icmp6", "Udp6", "Ip6")

Key = tuple[str, str]
Reading = dict[Key, int]


@dataclass(slots=True)
class _Known:
    at_ns: int
    raw: dict[str, bytes]
    values: Reading


class Protocols:
    """Rows of host_protocol."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._known: dict[int, _Known] = {}

    def rows(self, now_ns: int) -> Tables:
        """Return what was counted since the last look at each namespace that has its turn."""
        self._namespaces.look()
        found = []
        for number, base in self._namespaces.turn():
            try:
                raw = {name: content(f"{base}/{name}") for name in _FILES[:2]}
                raw |= _version_6(base)
            except OSError:
                continue  # the process that we saw it through is gone
            before = self._known.get(number)
            if before is not None and before.raw == raw:
                values = before.values
            else:
                values = reading(*(raw.get(name, b"").decode("ascii") for name in _FILES))
            self._known[number] = _Known(now_ns, raw, values)
            if before is not None:
                head = {"interval_ns": now_ns - before.at_ns, "netns": number}
                found += [{**head, **row} for row in difference(before.values, values)]
        alive = self._namespaces.alive
        self._known = {number: one for number, one in self._known.items() if number in alive}
        return {"host_protocol": found}


def reading(snmp: str, netstat: str, snmp6: str) -> Reading:
    """Return every counter of the three files; settings are left out."""
    found: Reading = {}
    for pairs in (snmp, netstat):
        lines = pairs.splitlines()
        for names, values in zip(lines[::2], lines[1::2], strict=False):
            protocol, _, rest = names.partition(":")
            for name, value in zip(rest.split(), values.partition(":")[2].split(), strict=False):
                if (protocol, name) not in _SETTINGS:
                    found[protocol, name] = int(value)
    for line in snmp6.splitlines():
        name, _, value = line.partition(" ")
        for protocol in _OF_6:
            if name.startswith(protocol):
                found[protocol, name.removeprefix(protocol).strip()] = int(value)
                break
    return found


def difference(before: Reading, after: Reading) -> list[Row]:
    """Return the counters that grew, and the levels; one that went back began anew."""
    rows = []
    for (protocol, name), now in after.items():
        value = now if (protocol, name) in _LEVELS else now - before.get((protocol, name), 0)
        if value > 0 or (protocol, name) in _LEVELS:
            rows.append({"protocol": protocol, "name": name, "value": value})
    return rows


def _version_6(base: str) -> dict[str, bytes]:
    try:
        return {_FILES[2]: content(f"{base}/{_FILES[2]}")}
    except OSError:
        return {}  # switched off
