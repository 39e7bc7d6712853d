"""Compares two sides' verdicts: what a diagnosis of each found, and what it no longer finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackledger.analysis.diff.answer import Change

if TYPE_CHECKING:
    from stackledger.analysis.diagnosis import Diagnosis, Verdict


def changes(before: Diagnosis, after: Diagnosis) -> list[Change]:
    """Return one change per verdict that is worse than a note on either side.

    Its values are shares of the requests' time, None where a verdict is not one of
    time or its side has it not; `verdict` is new, gone or stays. No interval: a
    diagnosis holds against its own thresholds, not against another one.
    """
    was, now = _by_place(before), _by_place(after)
    found = []
    for place in dict.fromkeys((*now, *was)):
        here, there = was.get(place), now.get(place)
        told = [one for one in (there, here) if one is not None]
        if all(one.severity == "note" for one in told):
            continue
        found.append(
            Change(
                kind="verdict",
                subject=told[0].title,
                name=told[0].rule,
                unit="share",
                before=here.explained_share if here else None,
                after=there.explained_share if there else None,
                low=None,
                high=None,
                verdict="stays" if here and there else "new" if there else "gone",
            )
        )
    return found


def _by_place(found: Diagnosis) -> dict[tuple[str, ...], Verdict]:
    return {(one.rule, one.layer, one.service, one.object): one for one in found.verdicts}
