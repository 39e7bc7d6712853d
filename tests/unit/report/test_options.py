"""Stored predictions on the page: today beside every option, and a refusal in words."""

from __future__ import annotations

from decimal import Decimal

from stackledger.analysis.attribution import attribute
from stackledger.analysis.costmodel import load_model
from stackledger.analysis.costs import cost_table
from stackledger.analysis.prediction import Figure, Latency, Option, Outcome, Prediction, Slo
from stackledger.analysis.whatif.proof import carried_out, prove
from stackledger.report.html import render
from stackledger.report.options import option_tables
from stackledger.report.proofview import view

MS = 1_000_000
ATTACK = "<img src=x onerror=alert(1)>\x1b[31m\u202e"


def figure(ms: float, spread: float = 0.1) -> Figure:
    return Figure(ms * MS, ms * MS * (1 - spread), ms * MS * (1 + spread))


def outcome(ms: float, usd: str | None, busy: float | None = 0.5) -> Outcome:
    latency = Latency(figure(ms), figure(ms), figure(2 * ms), figure(3 * ms))
    used = None if busy is None else Figure(busy, busy, busy)
    monthly = None if usd is None else Decimal(usd)
    return Outcome(
        latency=latency, rate_hz=figure(1), busiest="disk", busiest_share=used, monthly_usd=monthly
    )


def prediction(name: str = "disk", made_at: str = "2026-11-23T05:00:00Z", **more) -> Prediction:  # type: ignore[no-untyped-def]
    fields = {
        "name": name,
        "capture": "20231114T221320Z-0a1b2c",
        "made_at": made_at,
        "model": "aws-us-east-1",
        "endpoint": "GET /a",
        "slo": Slo("p99", 200 * MS),
        "requests": 386,
        "before": outcome(90, "110.08", 0.97),
        "replayed": outcome(91.8, "110.08"),
        "options": (
            Option(
                name="io2",
                kind="disk",
                after=outcome(20, "522.50"),
                usd_per_ms_saved=Decimal("5.89"),
                holds_slo=True,
                notes=("no burst",),
            ),
            Option(name="smaller", kind="nodes", after=outcome(95, "60.08"), holds_slo=False),
            Option(name="more memory", kind="memory", refused="no page accesses were recorded"),
        ),
        "reason": "cheapest",
        "chosen": "io2",
    }
    return Prediction(**(fields | more))


def test_today_and_every_option_are_lines() -> None:
    (table,), left_out = option_tables([prediction()])
    assert left_out == 0
    today, io2, smaller, memory = table.lines
    assert today.today
    assert (today.mean, today.p99, today.monthly, today.change) == (
        "90.0 ms", "270 ms", "$110.08", "",
    )  # fmt: skip
    assert io2.chosen
    assert (io2.p99, io2.p99_interval) == ("60.0 ms", "54.0 ms to 66.0 ms")
    assert (io2.monthly, io2.change, io2.per_ms, io2.slo) == (
        "$522.50", "+$412.42", "$5.89", "holds",
    )  # fmt: skip
    assert (smaller.change, smaller.slo, smaller.per_ms) == ("-$50.00", "misses", "–")
    assert (memory.refused, memory.mean) == ("no page accesses were recorded", "")
    longest = max(line.high for line in table.lines)
    assert longest == 100.0
    assert table.notes[0] == "the simulator's own error on what was measured: mean +2.0 %"
    assert "objective p99 < 200 ms" in table.asked
    assert "io2" in table.verdict


def test_without_prices_limits_or_objective_there_is_no_figure() -> None:
    bare = prediction(
        slo=None, endpoint=None, before=outcome(90, None, None), reason="none_helps", chosen=None,
        options=(Option(name="x", kind="disk", after=outcome(80, None, None)),),
    )  # fmt: skip
    (table,), _ = option_tables([bare])
    assert not table.has_slo
    assert "all endpoints" in table.asked
    assert {(line.monthly, line.change, line.slo) for line in table.lines} == {("–", "", "")}
    assert table.lines[0].busiest == "disk –"


def test_the_newest_come_first_and_the_rest_is_counted() -> None:
    many = [prediction(f"p{n}", f"2026-11-{n + 10}T05:00:00Z") for n in range(8)]
    tables, left_out = option_tables(many)
    assert [table.name for table in tables] == ["p7", "p6", "p5", "p4", "p3"]
    assert left_out == 3


def test_the_page_shows_them_and_runs_nothing(shop) -> None:  # type: ignore[no-untyped-def]
    connection = shop().open()
    hostile = prediction(
        endpoint=ATTACK,
        reason="none_helps",
        chosen=None,
        notes=(ATTACK,),
        options=(
            Option(name=ATTACK, kind="disk", after=outcome(20, "1"), notes=(ATTACK,)),
            Option(name="y", kind="cpu", refused=ATTACK),
        ),
    )
    page = render(
        connection,
        attribution=attribute(connection),
        cost=cost_table(connection, load_model("aws-us-east-1")),
        predictions=[prediction(), hostile],
    )
    assert "Options compared" in page
    assert "no prediction: no page accesses were recorded" in page
    assert "<img" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    without = render(connection, attribution=attribute(connection))
    assert "Options compared" not in without


def test_a_prediction_is_held_against_what_came(shop) -> None:  # type: ignore[no-untyped-def]
    connection = shop().open()
    made = prediction(capture="before", endpoint=None, before=outcome(400, "110.08"))
    found = prove(connection, made, carried_out(made, None))
    shown = view(found)
    assert [line.figure for line in shown.lines] == ["mean", "p50", "p95", "p99", "rate"]
    assert shown.lines[0].before == "400 ms"
    assert shown.lines[0].predicted == "20.0 ms"
    assert {line.error[0] for line in shown.lines} <= {"+", "-"}
    assert "io2" in shown.verdict
    page = render(connection, attribution=attribute(connection), proof=found)
    assert "What was foreseen, and what came of it" in page
    assert "prediction disk, made 2026-11-23 05:00 UTC from capture before" in page
    assert shown.lines[0].measured in page
