"""Gateway, sidecar, application, database and broker: where 100 of 200 ms go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackledger.analysis import figures
from stackledger.analysis.experiment import part
from stackledger.labs import disk
from stackledger.labs.lab import Lab, Load, Phase
from stackledger.labs.postgres import ORDERS
from stackledger.labs.stack import PROGRAMS, Stack, stack

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from stackledger.analysis.experiment import Figure

_READS = 50
_ALL = ("cpu", "runq", "disk", "lock", "sleep", "queue", "net", "other", "untraced", "unexplained")
_NETWORK, _REST = ("net", "queue"), ("runq", "lock", "sleep", "other", "untraced", "unexplained")


def _stage(base: Path | None) -> AbstractContextManager[Stack]:
    return stack(own_disk=True, limited=("database",), broker=True, base=base)


def _cold(it: Stack, read_iops: int | None) -> None:
    it.set_iops(None, None)
    it.drop_cache()
    it.set_iops(read_iops, None)


def _warm(it: Stack, read_iops: int | None) -> None:
    it.set_iops(None, None)
    it.warm_cache()
    it.set_iops(read_iops, None)


def _of(layer: str, name: str) -> tuple[Figure, ...]:
    """Return the lines of one layer, as the strategy document draws them."""
    return (
        part(name, *_ALL, layer=layer),
        part("  CPU", "cpu", layer=layer),
        part("  network, and until it is read", *_NETWORK, layer=layer),
        part("  disk", "disk", layer=layer),
        part("  otherwise waiting", *_REST, layer=layer),
    )


LAB: Lab[Stack] = Lab(
    name="full-stack",
    question="A checkout through gateway, sidecar, application, database and broker.",
    answer=(
        "Only the database's disk and cache were changed. A faster gateway, mesh or runtime"
        " can save no more than its own lines; more memory for the cache takes away the"
        " largest."
    ),
    programs=(*PROGRAMS, "nats-server", *disk.PROGRAMS),
    stage=_stage,
    load=Load((f"/api/checkout/{{1-{ORDERS}}}",), connections=8, rate_hz=60.0),
    phases=(
        Phase("baseline", "the disk as it is, nothing cached", lambda it: _cold(it, None)),
        Phase(
            "fault",
            f"the database's disk allows {_READS} reads a second, nothing is cached",
            lambda it: _cold(it, _READS),
        ),
        Phase("cure", "the same disk, all of the table is cached", lambda it: _warm(it, _READS)),
    ),
    figures=(
        *figures.SEEN,
        *_of("gateway", "gateway"),
        *_of("sidecar", "sidecar"),
        *_of("app", "application"),
        *_of("database", "database"),
        *_of("messaging", "broker"),
        figures.WHOLE,
        figures.DISK_P99,
        figures.DISK_BUSY,
    ),
)
