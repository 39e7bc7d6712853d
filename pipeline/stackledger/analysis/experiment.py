"""What an experiment measured: the same figures of its captures, side by side.

A lab makes the captures (`stackledger.labs`); all that is said about them is read
from their files here, so that it can be read again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stackledger.analysis.assembly import assemble
from stackledger.analysis.attribution import PARTS, Attribution, attribute
from stackledger.analysis.chosen import Processes
from stackledger.analysis.diagnose import examine
from stackledger.analysis.selection import Selection, narrow
from stackledger.store import connect

if TYPE_CHECKING:
    import duckdb

    from stackledger.analysis.diagnosis import Diagnosis
    from stackledger.store import Capture

# The sections of a table, in this order: what everybody looks at, what users feel, why.
GRAPHS = "what a CPU and memory dashboard shows"
REQUESTS = "what the callers see"
LEDGER = "where a slow request's time goes (p99)"
KERNEL = "what the kernel says"
COST = "what it costs"

Values = Mapping[str, Any]

# The root process and all below it; and the kernel's own threads, which do I/O and
# send packets for them: children of the second process, 0 where a CPU was idle.
_FAMILY = """
WITH RECURSIVE family(pid) AS (
  SELECT $root
  UNION
  SELECT p.pid FROM process AS p JOIN family AS f ON p.ppid = f.pid
)
SELECT pid FROM family
UNION
SELECT pid FROM process WHERE 2 IN (pid, ppid)
UNION
SELECT 0
"""

_PARAMETER = re.compile(r"\$([a-z]\w*)")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One phase's capture, assembled, and what its lab knows: ports, limits, processes."""

    connection: duckdb.DuckDBPyConnection
    attribution: Attribution
    values: Values

    def ask(self, statement: str) -> Any:
        """Return the one value of a statement; $names come from the lab's values."""
        wanted = {name: self.values[name] for name in _PARAMETER.findall(statement)}
        row = self.connection.execute(statement, wanted).fetchone()
        return row[0] if row else None


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; `unit` is ns, share, hz, count, bytes or usd."""

    section: str
    name: str
    unit: str
    measure: Callable[[Evidence], Any]


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """One phase: what was done, its capture, its figures in the order of the table."""

    name: str
    done: str
    capture: Capture
    attribution: Attribution
    diagnosis: Diagnosis
    figures: list[Any]


@dataclass(frozen=True, slots=True)
class Result:
    """An experiment: the figures' names, and their values phase by phase."""

    name: str
    question: str
    answer: str
    figures: tuple[Figure, ...]
    phases: list[PhaseResult]


def look(
    capture: Capture,
    name: str,
    done: str,
    figures: tuple[Figure, ...],
    values: Values,
    *,
    root_pid: int | None = None,
) -> PhaseResult:
    """Return what one phase's capture says, of the process `root_pid` and all below it.

    What else the host served is then left out; its counters and disks are whole. Without
    a `root_pid` all of it is meant.
    Raises NoSuchCaptureError where no request was answered in it.
    """
    with connect(capture, with_views=False) as connection:
        if root_pid is not None:
            family = connection.execute(_FAMILY, {"root": root_pid}).fetchall()
            own = Selection(processes=Processes(pids=tuple(pid for (pid,) in family)))
            narrow(connection, own, capture.tables.values(), ledger=True)
        assemble(connection)
        evidence = Evidence(connection, attribute(connection), values)
        told = [one.measure(evidence) for one in figures]
        found = examine(capture, connection)
    return PhaseResult(name, done, capture, evidence.attribution, found, told)


def sql(section: str, name: str, unit: str, statement: str) -> Figure:
    """Return the figure that a statement selects: one row of one column."""
    return Figure(section, name, unit, lambda evidence: evidence.ask(statement))


def part(name: str, *parts: str, layer: str | None = None) -> Figure:
    """Return how long a p99 request was in these parts (cpu, disk, …), of one layer or all."""
    unknown = {f"{one}_ns" for one in parts} - set(PARTS)
    assert not unknown, unknown

    def measure(evidence: Evidence) -> float:
        return sum(
            line.parts[f"{one}_ns"]
            for line in evidence.attribution.slow.lines
            for one in parts
            if layer in (None, line.layer)
        )

    return Figure(LEDGER, name, "ns", measure)
