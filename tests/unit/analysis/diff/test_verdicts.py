"""Verdicts of two sides: new, gone, there on both, or on neither graver than a note."""

from __future__ import annotations

import pytest
from msgspec import structs

from stackledger.analysis.diagnosis import Confidence, Dashboard, Diagnosis, Threshold, Verdict
from stackledger.analysis.diff.verdicts import changes


def verdict(rule: str, severity: str, share: float | None, *, service: str = "shop") -> Verdict:
    return Verdict(
        rule=rule,
        version=1,
        title=f"{service}: {rule}",
        severity=severity,
        layer="app",
        service=service,
        resource="cpu",
        object="",
        explained_ns=None,
        explained_share=share,
        typical_ns=None,
        threshold=Threshold(measured=None, value=None, unit="share", source=""),
        evidence=[],
        query="",
        confidence=Confidence(level="high", score=1.0, reasons=[]),
        next="",
        covers=[],
    )


def side(*verdicts: Verdict) -> Diagnosis:
    return Diagnosis(
        capture="one",
        name="one",
        host="host",
        from_ts_ns=0,
        until_ts_ns=1,
        transactions=1,
        wall_ns=1,
        p50_ns=1.0,
        p99_ns=1.0,
        healthy=False,
        verdicts=list(verdicts),
        dashboard=Dashboard(gauges=[], fine=True, source=""),
        ledger=[],
        looked=[],
        lost_share=0.0,
        unexplained_share=None,
        sampled_share=1.0,
    )


def test_new_gone_and_there_on_both():
    before = side(verdict("a", "critical", 0.5), verdict("b", "warning", 0.2))
    after = side(verdict("b", "critical", 0.7), verdict("c", "warning", None))
    found = {one.name: one for one in changes(before, after)}
    assert {name: (one.before, one.after, one.verdict) for name, one in found.items()} == {
        "a": (0.5, None, "gone"),
        "b": (0.2, 0.7, "stays"),
        "c": (None, None, "new"),
    }
    assert {(one.kind, one.low, one.high) for one in found.values()} == {("verdict", None, None)}


def test_notes_are_told_only_beside_something_graver():
    note, grave = verdict("a", "note", 0.01), verdict("a", "critical", 0.9)
    assert changes(side(note), side(note)) == []
    assert changes(side(), side(note)) == []
    (one,) = changes(side(note), side(grave))
    assert (one.before, one.after, one.verdict) == (0.01, 0.9, "stays")


@pytest.mark.parametrize("field", ["layer", "service", "object"])
def test_the_same_rule_elsewhere_is_another_verdict(field):
    here = verdict("a", "critical", 0.5)
    there = structs.replace(here, **{field: "elsewhere"})
    assert sorted(one.verdict for one in changes(side(here), side(there))) == ["gone", "new"]
