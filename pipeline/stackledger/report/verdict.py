"""The one sentence that names the largest part of a ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackledger.report.format import duration, share

if TYPE_CHECKING:
    from stackledger.analysis.attribution import Attribution

WORDS = {
    "cpu_ns": "on the CPU",
    "runq_ns": "waiting for a CPU",
    "disk_ns": "waiting for the disk",
    "lock_ns": "waiting for a lock",
    "sleep_ns": "asleep by its own wish",
    "queue_ns": "with bytes that had arrived and were not yet worked on",
    "net_ns": "on the network",
    "other_ns": "off the CPU for other reasons",
    "untraced_ns": "in a server that was not traced",
    "unexplained_ns": "unexplained",
}


def sentence(attribution: Attribution) -> str:
    """Return for instance "At p99, 88.2 ms of 110 ms (79.9 %) is … waiting for the disk."."""
    line, part = attribution.largest
    band = attribution.slow
    part_ns = line.parts[part]
    share_of_wall = part_ns / band.wall_ns if band.wall_ns else 0.0
    # A layer's usual name says nothing where the service bears it too.
    who = line.service if line.service == line.layer else f"{line.layer} {line.service}"
    return (
        f"At p{attribution.percentile:g}, {duration(part_ns)} of {duration(band.wall_ns)}"
        f" ({share(share_of_wall)}) is {who} {WORDS[part]}."
    )
