"""The cost section's bars: every line begins where the last one ended, and the sums are printed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from stackledger.analysis.costmodel import load_model
from stackledger.analysis.costresult import CostRow
from stackledger.analysis.costs import cost_table
from stackledger.report.costbars import idle_lines, proof, waterfall
from stackledger.report.costcells import Scale, cells, decimals
from stackledger.report.costview import view
from stackledger.report.pricelist import price_lines

if TYPE_CHECKING:
    from stackledger.analysis.costresult import CostResult


@pytest.fixture(scope="module", params=["aws-us-east-1", "gcp-us-central1"])
def result(shop, request) -> CostResult:  # type: ignore[no-untyped-def]
    return cost_table(shop().open(), load_model(request.param))


def amount(text: str) -> Decimal:
    return Decimal(text.removeprefix("$").replace(",", ""))


def test_the_waterfall_falls_to_the_last_cent(result: CostResult) -> None:
    row = result.transactions[0]
    scale = Scale(10**6, decimals(row.loaded_usd * 10**6), "USD")
    lines = waterfall(cells(result, row, scale), scale)
    parts = [line for line in lines if not line.total]
    assert len(parts) >= 3
    assert lines[-1].name == "fully loaded"
    assert sum(amount(line.amount) for line in parts) == amount(lines[-1].amount)
    at = 0.0
    for line in parts:
        (bar,) = line.bars
        assert bar.left == pytest.approx(at, abs=0.02)
        at = bar.left + bar.width
    assert at == pytest.approx(100, abs=0.02)
    (direct,) = [line for line in lines if line.name == "direct"]
    after = lines.index(direct)
    assert amount(direct.amount) == sum(amount(line.amount) for line in lines[:after])
    assert abs(amount(lines[-1].amount) - row.loaded_usd * 10**6) < Decimal("0.001")


def test_the_waterfall_and_the_table_print_the_same(result: CostResult) -> None:
    shown = view(result)
    head = shown.lines[0]
    assert head.head
    assert shown.waterfall[-1].amount == head.loaded
    cpu = next(line for line in shown.waterfall if line.name == "CPU")
    assert cpu.amount == head.parts[shown.columns.index("CPU")]
    disks = sum(amount(x.amount) for x in shown.waterfall if x.name.startswith("disk"))
    assert disks == amount(head.parts[shown.columns.index("disk")])


def test_what_is_idle_is_of_the_resources_bill(result: CostResult) -> None:
    lines = {line.name: line for line in idle_lines(result)}
    assert {"CPU", "memory", "disk capacity"} <= set(lines)
    assert lines["memory"].share == "100.0 % idle"
    for line in lines.values():
        assert sum(bar.width for bar in line.bars) == pytest.approx(100, abs=0.05)
    cpu = next(one for one in result.resources if one.resource == "cpu")
    borne = sum(r.cost_usd for r in result.rows if (r.resource, r.part) == ("cpu", "idle"))
    assert lines["CPU"].share == f"{100 * float(borne / cpu.cost_usd):.1f} % idle"
    assert "idle, borne by requests" in lines["CPU"].words


def test_a_kind_that_nobody_foresaw_has_its_place(result: CostResult) -> None:
    more = CostRow("tracer", None, None, None, "cpu", "cpu", Decimal("0.000100000000"))
    other = CostRow("guest", None, None, None, "cpu", "cpu", Decimal("0.000100000000"))
    changed = replace(result, rows=[*result.rows, more, other])
    labels = [label for label, _, _ in proof(changed)]
    assert labels[-3:] == ["recording itself", "guest", "bill of the window"]
    amounts = [amount(shown) for _, shown, _ in proof(changed)]
    assert sum(amounts[:-1]) == amounts[-1]
    (cpu,) = [line for line in idle_lines(changed) if line.name == "CPU"]
    assert "recording itself" in cpu.words
    assert "guest" in cpu.words


def test_no_request_is_no_waterfall(result: CostResult) -> None:
    nobody = [row for row in result.rows if row.kind != "request"]
    shown = view(replace(result, rows=nobody, transactions=[]))
    assert (shown.waterfall, shown.lines, shown.dearest) == ([], [], "")
    assert [line.share for line in shown.idle if line.name == "memory"] == ["100.0 % idle"]


def test_every_price_is_listed_with_its_date(result: CostResult) -> None:
    lines = price_lines(result)
    listed = [line for line in lines if line.dated != "–"]
    assert len(listed) == len(result.prices)
    assert [line.dated for line in listed] == sorted(line.dated for line in listed)
    own = [line for line in lines if line.confidence == "your own figure"]
    assert own
    assert all(line.doubtful for line in own)
    assert {line.doubtful for line in listed if line.confidence == "verified"} == {False}
