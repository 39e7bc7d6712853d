"""A network that loses packets between a sidecar and what it serves."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from stackledger.analysis import figures
from stackledger.analysis.experiment import KERNEL, sql
from stackledger.labs import network
from stackledger.labs.lab import Lab, Load, Phase
from stackledger.labs.stack import PROGRAMS, Stack, stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOST = 0.03


@contextmanager
def _stage(base: Path | None) -> Iterator[Stack]:
    with network.network() as cable, stack(base=base, network=cable, far=("app", "database")) as it:
        yield it


LAB: Lab[Stack] = Lab(
    name="network-congestion",
    question="A sidecar whose answers come over a network that loses packets.",
    answer=(
        "Only the cable was changed. No server is slower for it: the time goes between the"
        " sidecar and the application, where TCP sends segments again and waits before it"
        " does."
    ),
    programs=(*PROGRAMS, *network.PROGRAMS),
    stage=_stage,
    load=Load(("/api/blob?kib=64",), connections=8, rate_hz=60.0),
    phases=(
        Phase("baseline", "nothing is lost", lambda it: it.lose(0)),
        Phase("fault", f"{_LOST:.0%} of the packets are lost", lambda it: it.lose(_LOST)),
        Phase("cure", "nothing is lost again", lambda it: it.lose(0)),
    ),
    figures=(
        *figures.SEEN,
        *figures.PARTS,
        figures.RETRANSMITTED,
        figures.TIMEOUTS,
        figures.DROPPED,
        figures.BUFFER,
        sql(
            KERNEL,
            "bytes from the far end/s",
            "bytes",
            """
            SELECT sum(send_bytes) * 1e9 / (SELECT dur_ns FROM span) FROM requests
            WHERE layer = 'app'
            """,
        ),
    ),
)
