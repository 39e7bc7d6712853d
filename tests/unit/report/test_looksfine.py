"""A dashboard beside the ledger, and the verdicts with their evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from stackledger.analysis.attribution import attribute
from stackledger.analysis.diagnosis import (
    Confidence,
    Dashboard,
    Diagnosis,
    Figure,
    Gauge,
    LedgerPart,
    Looked,
    Threshold,
    Verdict,
)
from stackledger.report.html import render
from stackledger.report.looksfine import looks_fine
from stackledger.report.verdictview import verdicts

if TYPE_CHECKING:
    import duckdb

DISK = Verdict(
    rule="disk_wait",
    version=1,
    title="shop waits for <b>sda</b>",
    severity="critical",
    layer="app",
    service="shop",
    resource="disk",
    object="sda",
    explained_ns=8 * 10**9,
    explained_share=0.8,
    typical_ns=80_000_000,
    threshold=Threshold(measured=0.8, value=0.1, unit="share", source="a tenth of the time"),
    evidence=[Figure(name="reads a second", value=120.0, unit="/s")],
    query="stackledger query iostat incident",
    confidence=Confidence(level="high", score=0.9, reasons=[]),
    next="look at sda",
    covers=[],
)


def diagnosis(*found: Verdict, cpu: float | None = 0.15, requests: bool = True) -> Diagnosis:
    gauges = (
        []
        if cpu is None
        else [Gauge(name="CPU", mean=cpu, highest=min(cpu + 0.1, 1), alert=0.8, fine=cpu < 0.8)]
    )
    fine = bool(gauges) and all(one.fine for one in gauges)
    part: dict[str, Any] = {"explained_ns": 8 * 10**9, "typical_ns": 80_000_000}
    return Diagnosis(
        capture="c",
        name="incident",
        host="web-1",
        from_ts_ns=0,
        until_ts_ns=10**10,
        transactions=100 if requests else 0,
        wall_ns=10**10 if requests else 0,
        p50_ns=None,
        p99_ns=None,
        healthy=all(one.severity == "note" for one in found),
        verdicts=list(found),
        dashboard=Dashboard(gauges=gauges, fine=fine, source="usual alerts: 80 %"),
        ledger=[LedgerPart(layer="app", service="shop", part="disk", explained_share=0.8, **part)]
        if requests
        else [],
        looked=[
            Looked(rule="disk_wait", version=1, purpose="", outcome="found", missing=[]),
            Looked(rule="steal", version=1, purpose="", outcome="not measured", missing=["x"]),
        ],
        lost_share=0.0,
        unexplained_share=0.0,
        sampled_share=1.0,
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            diagnosis(DISK),
            (
                "CPU 15.0 %: a dashboard says that this host is fine. But 80.0 % of the requests'"
                " time was app shop disk."
            ),
        ),
        (
            diagnosis(),
            (
                "CPU 15.0 %: a dashboard says that this host is fine. Meanwhile 80.0 % of the"
                " requests' time was app shop disk."
            ),
        ),
        (
            diagnosis(DISK, cpu=0.95),
            (
                "CPU 95.0 %: on a dashboard CPU is above 80.0 %. Meanwhile 80.0 % of the requests'"
                " time was app shop disk."
            ),
        ),
        (
            diagnosis(requests=False),
            (
                "CPU 15.0 %: a dashboard says that this host is fine. There were no requests to"
                " hold against it."
            ),
        ),
    ],
)
def test_both_sides_are_in_one_sentence(found: Diagnosis, expected: str) -> None:
    shown = looks_fine(found)
    assert shown is not None
    assert shown.sentence == expected


def test_a_panel_without_either_side_is_not_there() -> None:
    assert looks_fine(diagnosis(cpu=None, requests=False)) is None
    one_sided = looks_fine(diagnosis(cpu=None))
    assert one_sided is not None
    assert one_sided.sentence.startswith("CPU and memory were not counted. Meanwhile 80.0 %")


def test_verdicts_come_with_evidence_and_notes_apart() -> None:
    note = msgspec.structs.replace(DISK, severity="note", explained_share=None)
    shown = verdicts(diagnosis(DISK, note))
    assert (len(shown.grave), len(shown.notes), shown.answer) == (1, 1, "")
    (grave,) = shown.grave
    assert grave.evidence == [("reads a second", "120/s")]
    assert grave.explained == "80.0 % of the requests' time, 80.0 ms in a request that has it"
    assert dict(grave.points)["why"] == "80.0 % against 10.0 %: a tenth of the time"
    assert shown.notes[0].explained == ""
    assert shown.looked == "2 rules: 1 found something, 1 not measured."
    assert shown.not_measured == "Not measured: steal; no rows of x."
    assert verdicts(diagnosis(note)).answer.startswith("Nothing wrong here: 1 rules looked")


@pytest.fixture(scope="module")
def connection(shop) -> duckdb.DuckDBPyConnection:  # type: ignore[no-untyped-def]
    opened: duckdb.DuckDBPyConnection = shop().open()
    return opened


def test_the_page_tells_the_story_in_order(connection: duckdb.DuckDBPyConnection) -> None:
    html = render(connection, attribution=attribute(connection), diagnosis=diagnosis(DISK))
    places = [
        html.index(f'<section id="{name}">')
        for name in ("verdicts", "looksfine", "ledger", "incident", "slowest", "services", "method")
    ]
    assert places == sorted(places)
    assert "shop waits for &lt;b&gt;sda&lt;/b&gt;" in html
    assert "stackledger query iostat incident" in html


def test_a_page_without_requests_is_about_the_host(connection: duckdb.DuckDBPyConnection) -> None:
    html = render(connection, attribution=None, diagnosis=diagnosis(requests=False))
    assert "No requests were recorded, and nothing else is wrong: 1 rules looked." in html
    for absent in ("ledger", "latency", "slowest", "services", "endpoints", "cost"):
        assert f'<section id="{absent}">' not in html
    assert '<section id="disks">' in html
