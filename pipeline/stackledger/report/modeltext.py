"""Writes a proposed cost model as TOML, each choice beside what the capture saw."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from stackledger.diagnostics import printable
from stackledger.report.format import count, size

if TYPE_CHECKING:
    from datetime import date

    from stackledger.analysis.modelinit import Proposal, ProposedDisk, Seen

_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")


def text(proposal: Proposal, today: date) -> str:
    """Return the file; every line marked CHOOSE is a guess to be replaced."""
    blocks = [
        _head(proposal),
        _node(proposal),
        *(_disk(proposal, disk) for disk in proposal.disks),
        *(_own_price(disk, today) for disk in proposal.disks if disk.own_price),
        _network(proposal),
        _shared(),
        _policy(),
    ]
    return "\n".join(blocks)


def _head(proposal: Proposal) -> str:
    seen = proposal.seen
    return f"""\
# First cost model of host {_shown(seen.host)}, from capture {_shown(seen.capture)}.
# Every line marked CHOOSE is a guess: put what you have and what you pay there.
# stackledger prices lists skus; stackledger model check FILE validates this.
# For an editor: stackledger model schema > cost-model.schema.json, and the line
# #:schema ./cost-model.schema.json on top of this file.
schema = "cost-model/1"
currency = "USD"          # of every amount here; lists are in USD
hours_per_month = 730
"""


def _node(proposal: Proposal) -> str:
    seen = proposal.seen
    if proposal.node_sku:
        price = (
            f"sku = {_quoted(proposal.node_sku)}  # CHOOSE: the cheapest here that is as large\n"
            "monthly_override = 0      # more than 0: your net price wins over the list\n"
        )
    else:
        price = (
            "monthly_override = 100.00 # CHOOSE: your price per month; this one is invented,\n"
            "                          # the catalogue holds no such machine\n"
        )
    return f"""\
# Seen: {count(seen.cpus)} CPUs, {size(seen.memory_bytes)} of memory, {_shown(seen.arch)}.
[[node]]
match = {{ host = {_pattern(seen.host)} }}
vcpu = {seen.cpus}
memory_gib = {seen.memory_bytes / 2**30:.2f}
speed_index = 1.00        # CPU speed relative to your other nodes
{price}"""


def _disk(proposal: Proposal, disk: ProposedDisk) -> str:
    seen = disk.seen
    if seen.ios is None:
        used = "its use was not counted"
    elif not seen.ios:
        used = "not used in this capture"
    else:
        used = f"{count(seen.ios)} I/Os in this capture"
        if seen.peak_ios is not None:
            used += f", at most {count(seen.peak_ios)} and {size(seen.peak_bytes)} in a second"
    region = disk.sku.rpartition("/")[0]
    lines = [
        f"# Seen: {_shown(seen.name)}, {size(seen.size_bytes)}; {used}.",
        "[[disk]]",
        f"match = {{ host = {_pattern(proposal.seen.host)}, device = {_pattern(seen.name)} }}",
        f"sku = {_quoted(disk.sku)}"
        + (
            "  # CHOOSE: priced below"
            if disk.own_price
            else f"  # CHOOSE: stackledger prices {region}/ --dimension capacity"
        ),
        f"size_gb = {disk.size_gb}",
        _ordered("iops", disk.iops, "IOPS"),
        _ordered("throughput_mbps", disk.throughput_mbps, "MiB/s"),
    ]
    return "\n".join(lines) + "\n"


def _ordered(name: str, value: int | None, unit: str) -> str:
    if value is None:
        return f"{f'# {name} = 0':<26}# {unit} provisioned; 0: what is included"
    return (
        f"{f'{name} = {value}':<26}# CHOOSE: {unit} provisioned; the busiest second asked for that"
    )


def _own_price(disk: ProposedDisk, today: date) -> str:
    return f"""\
[[price]]
sku = {_quoted(disk.sku)}
dimension = "capacity"
price = 0.05              # CHOOSE: yours per GB and month; this one is invented
date = {today.isoformat()}
reason = "placeholder of stackledger model init"
"""


def _network(proposal: Proposal) -> str:
    def price(sku: str | None) -> str:
        if sku:
            return f"sku = {_quoted(sku)}  # CHOOSE: or price_per_gb = …"
        return "price_per_gb = 0          # CHOOSE: free until you say what a GB costs"

    blocks = ", ".join(f'"{block}"' for block in _PRIVATE)
    return f"""\
{_traffic(proposal.seen)}

# Other machines of yours: free within a zone, at a price between zones.
[[network]]
class = "private"
cidr = [{blocks}]
{price(proposal.private_sku)}
charged = "both"          # in | out | both

# Every other address.
[[network]]
class = "internet"
{price(proposal.internet_sku)}
charged = "out"
"""


def _traffic(seen: Seen) -> str:
    if not seen.interfaces:
        return "# Seen: no traffic that left the host."
    return "\n".join(
        f"# Seen: {_shown(one.name)}, {size(one.recv_bytes)} in, {size(one.send_bytes)} out."
        for one in seen.interfaces
    )


def _shared() -> str:
    return """\
# What all of it needs, split over the endpoints: even | direct_cost | requests | bytes
# [[shared]]
# name = "control plane"
# monthly = 73.00         # CHOOSE
# weight = "direct_cost"
"""


def _policy() -> str:
    return """\
[policy]
idle = "per_resource_proportional"  # none | even | per_resource_proportional | peak_weighted
unattributed = "separate"
"""


def _shown(word: str) -> str:
    """Return a word of the traced side for a comment: on its line, and no longer."""
    return printable(word)[:80]


def _quoted(word: str) -> str:
    """Return a TOML basic string; what a terminal would obey is escaped too."""
    quoted = json.dumps(word, ensure_ascii=False)
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in quoted)


def _pattern(name: str) -> str:
    """Return a pattern that matches this name alone."""
    return _quoted(re.sub(r"([*?[])", r"[\1]", name))
