"""A guided walk: a stack with a slow disk, and what each tool says about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackledger.analysis import figures
from stackledger.labs import disk
from stackledger.labs.lab import Lab, Load, Phase, Step
from stackledger.labs.stack import ORDERS_PATH, PROGRAMS, SEARCH_PATH, Stack, stack

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

_READS = 60
_TABLE = ("--format", "table")
_BUSIEST = (
    "SELECT comm, count(*) AS ios, sum(queue_ns + device_ns) AS total_ns"
    " FROM block_io GROUP BY comm ORDER BY total_ns DESC, comm LIMIT 3"
)


def _stage(base: Path | None) -> AbstractContextManager[Stack]:
    return stack(own_disk=True, limited=("database",), base=base)


def _cold(it: Stack, read_iops: int | None) -> None:
    it.set_iops(None, None)
    it.drop_cache()
    it.set_iops(read_iops, None)


LAB: Lab[Stack] = Lab(
    name="tutorial",
    question="A walk through the tools, on a stack whose database has a slow disk.",
    answer=(
        "That was one recording of a few seconds: every command above can be asked again,"
        " of any part of it, here or on another machine."
    ),
    programs=(*PROGRAMS, *disk.PROGRAMS),
    stage=_stage,
    load=Load((f"9:{ORDERS_PATH}", SEARCH_PATH), connections=8, rate_hz=80.0),
    phases=(
        Phase("healthy", "the disk as it is", lambda it: _cold(it, None)),
        Phase("slow", f"the disk allows {_READS} reads a second", lambda it: _cold(it, _READS)),
    ),
    figures=(*figures.SEEN, *figures.PARTS, figures.DISK_P99, figures.DISK_BUSY),
    probes=("page_cache", "tcp_io"),
    steps=(
        Step(
            "What the usual graphs show: nothing to worry about.",
            ("query", "host", "tutorial.slow", "--limit", "3", *_TABLE),
        ),
        Step(
            "Where a slow request's time goes, layer by layer. The lines add up.",
            ("attribute", "tutorial.slow"),
        ),
        Step(
            "biosnoop: every I/O, how long it queued and how long the device took.",
            ("query", "biosnoop", "tutorial.slow", "--limit", "5", *_TABLE),
        ),
        Step(
            "iostat: the same second by second; util is how busy each disk was.",
            ("query", "iostat", "tutorial.slow", "--limit", "4", *_TABLE),
        ),
        Step(
            "cachestat: how much of what was read was in memory.",
            ("query", "cachestat", "tutorial.slow", "--limit", "4", *_TABLE),
        ),
        Step(
            "tcptop: who talks to whom, and how much.",
            ("query", "tcptop", "tutorial.slow", "--limit", "5", *_TABLE),
        ),
        Step(
            "tcpretrans: packets sent again. Nothing is lost here, at most a late answer probed.",
            ("query", "tcpretrans", "tutorial.slow", "--limit", "5", *_TABLE),
        ),
        Step(
            "services: who calls whom, how fast.", ("query", "services", "tutorial.slow", *_TABLE)
        ),
        Step(
            "The slowest requests, and what each of them waited for.",
            ("query", "slowest", "tutorial.slow", "--limit", "3", *_TABLE),
        ),
        Step("Your own question, in SQL.", ("sql", "tutorial.slow", _BUSIEST, *_TABLE)),
        Step("What is wrong, and what to do next.", ("diagnose", "tutorial.slow")),
    ),
)
