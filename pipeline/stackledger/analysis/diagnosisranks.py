"""How grave a finding is, and in which order verdicts are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from stackledger.analysis.diagnosis import SEVERITIES, Verdict
from stackledger.analysis.diagnosisrules import rules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A finding of time is a verdict from this share on, from so much in a transaction that
# has it, and from so much in all of them on average; graver with more. Set so that
# healthy stacks stay below "warning", and every fault of bench/diagnosis.py does not.
_GRADES = (
    ("critical", 0.4, 5e6, 3e6),
    ("warning", 0.15, 2e6, 1e6),
    ("note", 0.05, 1e5, 0.0),
)
# A general verdict says nothing new where more exact ones hold this much of it.
_COVERED = 0.5


def graded(
    explained_ns: int | None,
    typical_ns: int | None,
    whole: Mapping[str, Any],
    *,
    least: str | None = None,
    patience: float = 1.0,
) -> str | None:
    """Return the severity by share of the time, at least as grave as `least`; None: no verdict.

    `whole` has the transactions and their wall_ns. `patience` times the usual time in
    a transaction is no trouble yet.
    """
    found = least
    for severity, share, typical, mean in _GRADES:
        if (
            explained_ns is not None
            and whole["wall_ns"]
            and explained_ns >= share * whole["wall_ns"]
            and (typical_ns or 0) >= typical * patience
            and explained_ns >= mean * patience * whole["transactions"]
        ):
            found = severity
            break
    if least is not None and found is not None:
        return min(found, least, key=SEVERITIES.index)
    return found


def ranked(found: Sequence[Verdict]) -> list[Verdict]:
    """Return verdicts from grave to harmless, by explained time; general ones folded away.

    A general verdict that more exact ones explain is named in their `covers` instead.
    """
    refines = {rule.name: rule.refines for rule in rules()}
    kept: dict[int, Verdict] = dict(enumerate(found))
    for number, general in enumerate(found):
        exact = [
            other
            for other, one in enumerate(found)
            if general.rule in refines.get(one.rule, ()) and _same(general, one)
        ]
        held = max((found[one].explained_ns or 0 for one in exact), default=-1)
        if not exact or held < _COVERED * (general.explained_ns or 0):
            continue
        del kept[number]
        for other in exact:
            if other in kept:
                covers = sorted({*kept[other].covers, general.rule})
                kept[other] = msgspec.structs.replace(kept[other], covers=covers)
    return sorted(
        kept.values(),
        key=lambda one: (
            SEVERITIES.index(one.severity),
            -(one.explained_ns or 0),
            -len(one.covers),
            -one.confidence.score,
            one.rule,
            one.layer,
            one.service,
            one.object,
        ),
    )


def _same(general: Verdict, exact: Verdict) -> bool:
    """Tell whether both are about the same service; what befalls the host befalls each.

    What a caller does to the service that is its object, that service suffers.
    """
    same = (general.layer, general.service) == (exact.layer, exact.service)
    return same or "host" in (exact.layer, general.layer) or general.service == exact.object
