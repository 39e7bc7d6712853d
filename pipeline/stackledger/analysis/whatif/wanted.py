"""What is asked of a what-if, and whether that makes sense: before a capture is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.analysis.whatif import words
from stackledger.analysis.whatif.fleet import FEWEST
from stackledger.errors import UsageError

if TYPE_CHECKING:
    from stackledger.analysis.costmodel import CostModel
    from stackledger.analysis.prediction import Slo

MOST_LOAD = 2.0
_MOST_GIB = 10**6
_MOST_MACHINES = 10**5
_MOST_HEADROOM = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked: the options as they were written, and for whom.

    `machines` is how many like the captured one there are today.
    """

    disks: tuple[str, ...] = ()
    cpus: tuple[int, ...] = ()
    instances: tuple[str, ...] = ()
    memories: tuple[float, ...] = ()
    replicas: tuple[float, ...] = ()
    no_layers: tuple[str, ...] = ()
    no_retransmits: bool = False
    nodes: tuple[str, ...] = ()
    headroom: float = 0.3
    machines: int = 1
    endpoint: str | None = None
    slo: Slo | None = None
    load: float = 1.0
    name: str = ""

    def check(self, model: CostModel) -> None:
        """Raise UsageError for an option or a load that makes no sense, whatever the capture."""
        self._check_load()
        self._check_machine()
        self._check_fleet()
        machine = self.disks or self.cpus or self.instances or self.memories
        fleet = self.replicas or self.no_layers or self.no_retransmits or self.nodes
        if not (machine or fleet) and self.load == 1:
            raise UsageError(
                "nothing to compare", hint="--disk SKU,iops=N, --disk tiers, --cpus N, …"
            )
        words.check(self.disks, self.instances, model)

    def _check_load(self) -> None:
        if not math.isfinite(self.load) or self.load <= 0:
            raise UsageError("--load is a factor above 0", f"{self.load:g}")
        if self.load > MOST_LOAD:
            raise UsageError(
                "no prediction beyond twice the measured load",
                f"{self.load:g}",
                hint="what holds a system back there was not seen: capture it under more load",
            )

    def _check_machine(self) -> None:
        for number in self.cpus:
            if number < 1:
                raise UsageError("--cpus is a number of CPUs, 1 or more", number)
        for gib in self.memories:
            if not 0 < gib <= _MOST_GIB:
                raise UsageError("--memory-gib is a size in GiB above 0", f"{gib:g}")
        for share in self.replicas:
            if not 0 < share <= 1:
                raise UsageError(
                    "--replica is a share of the reads, above 0 and at most 1", f"{share:g}"
                )

    def _check_fleet(self) -> None:
        if not 1 <= self.machines <= _MOST_MACHINES:
            raise UsageError("--machines is how many there are today, 1 or more", self.machines)
        for word in self.nodes:
            if word != FEWEST and not _is_number(word):
                raise UsageError("--nodes is a number of machines, 1 or more, or fewest", word)
        if not 0 <= self.headroom <= _MOST_HEADROOM:
            raise UsageError("--headroom is a share from 0 to 10", f"{self.headroom:g}")


def _is_number(word: str) -> bool:
    digits = word.isascii() and word.isdecimal() and len(word) <= len(str(_MOST_MACHINES))
    return digits and 1 <= int(word) <= _MOST_MACHINES
