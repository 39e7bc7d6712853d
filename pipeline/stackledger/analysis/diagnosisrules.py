"""The rules of a diagnosis: one SQL file each under `queries/diagnose/`.

A rule's header says what it finds, and its SELECT returns the findings in the
columns of `COLUMNS`, one row each:

    layer, service   whom it slows down; layer `host` where it is everybody
    object           what exactly: a disk, a process, an address; may be empty
    explained_ns     its part of the ledger, over all transactions; NULL: none is known
    typical_ns       what a transaction that has it has of it; NULL with explained_ns
    severity         NULL: as the ledger has it; else at least this grave
    measured         the value that was held against the threshold
    threshold        that threshold, in the header's unit
    evidence         a list of (name, value, unit)
    doubts           a list of reasons to trust it less
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from stackledger.catalog import read_header
from stackledger.errors import StackledgerError
from stackledger.resources import folder

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = (
    *("layer", "service", "object", "explained_ns", "typical_ns", "severity"),
    *("measured", "threshold", "evidence", "doubts"),
)
_REQUIRED = ("Version", "Title", "Threshold", "Unit", "Resource", "Needs", "Evidence", "Next")
_KEYS = (*_REQUIRED, "Refines", "Certainty", "Patience", "Cost")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's header. `needs` are tables; without one of them it is not measured.

    `refines` are rules that say the same less exactly; `certainty` 0..1 is how sure a
    finding is by itself, where nothing was lost; `patience` is by how much longer than
    usual a transaction may take for it without any harm.
    """

    name: str
    purpose: str
    path: Path
    version: int
    title: str
    threshold: str
    unit: str
    resource: str
    needs: tuple[str, ...]
    refines: tuple[str, ...]
    evidence: str
    next: str
    certainty: float
    patience: float

    def text(self) -> str:
        """Return the SQL, header included."""
        return self.path.read_text(encoding="utf-8")


@cache
def rules() -> tuple[Rule, ...]:
    """Return every rule, by name."""
    files = sorted((folder("queries") / "diagnose").glob("*.sql"))
    return tuple(read_rule(path) for path in files)


def read_rule(path: Path) -> Rule:
    """Return the rule in `path`; raises StackledgerError where its header is wrong."""
    name, purpose, told = read_header(path, "--", _KEYS, _REQUIRED)
    try:
        version = int(told["Version"])
        certainty, patience = (float(told.get(key, "1")) for key in ("Certainty", "Patience"))
    except ValueError as failure:
        raise StackledgerError("bad header", f"{path}: {failure}") from None
    return Rule(
        name=name,
        purpose=purpose,
        path=path,
        version=version,
        title=told["Title"],
        threshold=told["Threshold"],
        unit=told["Unit"],
        resource=told["Resource"],
        needs=_words(told["Needs"]),
        refines=_words(told.get("Refines", "")),
        evidence=told["Evidence"],
        next=told["Next"],
        certainty=certainty,
        patience=patience,
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[a-z][a-z0-9_]*", text))
