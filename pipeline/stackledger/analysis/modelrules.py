"""Refuses rules of a cost model of which one can never apply: two prices for one thing."""

from __future__ import annotations

from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from stackledger.analysis.modelerrors import at
from stackledger.analysis.tomlpath import line_of
from stackledger.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stackledger.analysis.modelfile import ModelFile

_ORDER = "the first rule that matches wins: delete one, or put the narrower one first"


def check(model: ModelFile, path: Path, text: str) -> None:
    """Raise a UsageError that names the lines of the first two rules in conflict."""
    for table, earlier, later, what, hint in _conflicts(model):
        first = line_of(text, [table, earlier])
        where = f"on line {first}" if first else f"{table}[{earlier}]"
        fault = UsageError(f"{table}[{later}]", f"{what} already has a rule {where}", hint=hint)
        raise at(fault, path, text, [table, later])


def _conflicts(model: ModelFile) -> Iterator[tuple[str, int, int, str, str]]:
    """Yield table, the two indexes, what both are for, and the remedy."""
    for later, node in enumerate(model.node):
        for earlier, first in enumerate(model.node[:later]):
            if covers(first.match.host, node.match.host):
                yield "node", earlier, later, f"host {node.match.host}", _ORDER
    for later, disk in enumerate(model.disk):
        for earlier, one in enumerate(model.disk[:later]):
            if covers(one.match.host, disk.match.host) and covers(
                one.match.device, disk.match.device
            ):
                what = f"disk {disk.match.host}/{disk.match.device}"
                yield "disk", earlier, later, what, _ORDER
    yield from _networks(model)
    prices: dict[tuple[str, str], int] = {}
    for later, price in enumerate(model.price):
        known = prices.setdefault((price.sku, price.dimension), later)
        if known != later:
            what = f"the {price.dimension} price of {price.sku}"
            yield "price", known, later, what, "give several tiers = [{ upto, price }, …] in one"


def _networks(model: ModelFile) -> Iterator[tuple[str, int, int, str, str]]:
    for later, network in enumerate(model.network):
        for earlier, one in enumerate(model.network[:later]):
            if one.class_ == network.class_:
                yield "network", earlier, later, f"class {network.class_}", "delete one of them"
            for block in network.cidr or ("",):
                if _within(block, one.cidr):
                    what = block or "every other address"
                    yield "network", earlier, later, what, _ORDER


def _within(block: str, earlier: tuple[str, ...]) -> bool:
    """Tell whether all of a block is in earlier ones; "" is every address, so is ()."""
    if not block or not earlier:
        return not earlier
    narrow = ip_network(block)
    for wide in map(ip_network, earlier):
        if isinstance(narrow, IPv4Network) and isinstance(wide, IPv4Network):
            if narrow.subnet_of(wide):
                return True
        elif (
            isinstance(narrow, IPv6Network)
            and isinstance(wide, IPv6Network)
            and narrow.subnet_of(wide)
        ):
            return True
    return False


def covers(earlier: str, later: str) -> bool:
    """Tell whether a shell pattern surely matches all that another one does.

    Patterns with ? or [ are compared as texts only, so that a rule is never
    refused that could apply.
    """
    if earlier == later:
        return True
    plain = not set(later) & set("*?[")
    return (plain or not set(earlier) & set("?[")) and fnmatchcase(later, earlier)
