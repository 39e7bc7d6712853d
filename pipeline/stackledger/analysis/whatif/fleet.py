"""Fewer machines: how many the CPU demand of the busiest seconds needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from stackledger.analysis.whatif.changes import Change

if TYPE_CHECKING:
    import duckdb

    from stackledger.analysis.whatif.prices import Priced
    from stackledger.analysis.whatif.simulator import System

FEWEST = "fewest"
_FINEST = 10**9

# Nearest rank, as every percentile of a what-if.
_DEMAND = """
SELECT
  quantile_disc((user_ns + system_ns - coalesce(nice_ns, 0))::DOUBLE / interval_ns, 0.99),
  count(*)
FROM host_cpu
WHERE interval_ns > 0
"""


@dataclass(frozen=True, slots=True)
class CpuDemand:
    """How many CPUs' worth of work a machine had: the 99th percentile of so many seconds."""

    p99_cpus: float
    seconds: int

    def machines(self, today: int, cpus: int, headroom: float, load: float) -> int:
        """Return how many machines of `cpus` that needs, `today` is how many share it now.

        ceil(p99 demand of all * (1 + headroom) / capacity of one), 1 at least.
        """
        one = _exact(self.p99_cpus) * _exact(load) * (1 + _exact(headroom)) / cpus
        return max(1, math.ceil(today * one))


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of the fleet: how many machines, `fewest` or a number, and how much room.

    `load` is the factor on the measured load, `most_load` the largest that can be foreseen.
    """

    word: str
    headroom: float
    load: float
    most_load: float


def read(connection: duckdb.DuckDBPyConnection) -> CpuDemand | None:
    """Return the CPU demand of the captured machine, None where no second was recorded."""
    p99, seconds = connection.execute(_DEMAND).fetchone() or (None, 0)
    return None if p99 is None else CpuDemand(float(p99), int(seconds))


def change(wish: Wish, demand: CpuDemand | None, priced: Priced, system: System) -> Change:
    """Return another number of machines, each with its part of the load of those of today."""
    today = priced.machines
    name = "fewest nodes" if wish.word == FEWEST else f"{int(wish.word)} nodes ({today} today)"
    if demand is None:
        return Change(name, "nodes", None, None, refused="the CPUs' use was not recorded")
    needed = demand.machines(today, system.cpus, wish.headroom, wish.load)
    # More load on each than this was not seen.
    least = math.ceil(today * _exact(wish.load) / _exact(wish.most_load))
    number = max(needed, least) if wish.word == FEWEST else int(wish.word)
    why = _why(demand, wish, system.cpus)
    if number < needed or (wish.word == FEWEST and number >= today):
        return Change(name, "nodes", None, None, refused=f"no: {needed} of {today} needed: {why}")
    if number < least:
        beyond = f"no prediction beyond {wish.most_load:g} times the measured load of each"
        return Change(name, "nodes", None, None, refused=f"{beyond}: {least} at least")
    notes = [f"{needed} of {today} needed: {why}"]
    if number < today:
        notes.append("whole machines go, with their volumes")
    if wish.word == FEWEST and needed < least:
        notes.append(f"beyond {wish.most_load:g} times the load of each nothing was seen")
    return Change(
        f"{number} nodes ({today} today)",
        "nodes",
        system,
        priced.of(number),
        tuple(notes),
        load=today / number,
    )


def _why(demand: CpuDemand, wish: Wish, cpus: int) -> str:
    """Return the demand of one machine and its capacity in words."""
    each = f"{demand.p99_cpus * wish.load:.3g} of {cpus} CPUs each"
    return f"{each} at p99 of {demand.seconds} s, and {wish.headroom:.0%} headroom"


def _exact(value: float) -> Fraction:
    """Return the number as it was written: 0.3 is not quite 3/10 in floating point."""
    return Fraction(value).limit_denominator(_FINEST)
