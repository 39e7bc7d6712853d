"""The cost report: it fits 80 columns, says what it rests on, and shows that it sums."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb
import pytest
from rich.console import Console

from stackledger.analysis.costmodel import load_model
from stackledger.analysis.costs import cost_table
from stackledger.report.cost import (
    ROW_COLUMNS,
    TRANSACTION_COLUMNS,
    as_rows,
    as_transactions,
    render,
    text,
)

if TYPE_CHECKING:
    from stackledger.analysis.costresult import CostResult

HOSTILE = "GET /[red]\x1b[31m/<script>/" + "x" * 200


@pytest.fixture
def result() -> CostResult:
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE cost_usage AS SELECT * FROM (VALUES "
        "('GET /api/orders/{id}', 'gateway', 'nginx', 1234, 400000000, 0, 0, 4000000), "
        "('GET /api/orders/{id}', 'database', 'postgres', 1234, 1000000000, 9000, 73728000, 0), "
        "('GET /healthz', 'gateway', 'nginx', 10, 4000000, 0, 0, 5000), "
        "($hostile, 'app', 'python', 3, 5000000, 0, 0, 0)) "
        "AS t(endpoint, layer, service, requests, cpu_ns, disk_ios, disk_bytes, net_bytes)",
        {"hostile": HOSTILE},
    )
    connection.execute("CREATE TABLE cost_unattributed AS SELECT 'cpu' AS resource, 7000000 AS use")
    connection.execute(
        "CREATE TABLE cost_window AS SELECT 'h' AS host, 10000000000 AS window_ns, "
        "2 AS cpus, 0.01 AS lost_share"
    )
    connection.execute(
        "CREATE TABLE cost_disks AS SELECT 'h' AS host, 'vda' AS device, 'database' AS layer"
    )
    return cost_table(connection, load_model("gcp-us-central1"))


def test_plain_text_fits_and_carries_no_control_characters(result: CostResult) -> None:
    said = text(result)
    assert max(len(line) for line in said.splitlines()) <= 80
    assert "\x1b" not in said
    assert "GET /[red]\\x1b[31m" in said


def test_it_says_what_a_reader_needs(result: CostResult) -> None:
    said = " ".join(text(result).split())
    for expected in (
        "Cost per million requests: model gcp-us-central1, 10.0 s",
        "per million requests: GET /api/orders/{id}",
        "disk I/O $",
        "database postgres",
        "+ idle, not shared out",
        "+ unattributed",
        "= bill of the window",
        "difference $0.00",
        "the oldest of 2025-03-06",
        "user-supplied figure (monthly_override): unverified",
        "lost events: 1.0 %",
        "memory use is not measured",
    ):
        assert expected in said


def test_the_disk_line_is_the_rows_figure(result: CostResult) -> None:
    dearest = result.transactions[0]
    assert dearest.endpoint == "GET /api/orders/{id}"
    assert 0 < dearest.disk_usd < dearest.loaded_usd
    assert dearest.disk_usd == sum(v for k, v in dearest.parts.items() if k.startswith("disk_"))


def test_endpoints_beyond_the_limit_are_counted(result: CostResult) -> None:
    said = text(result, limit=1)
    assert "2 more endpoints: $" in said
    assert "GET /healthz" not in said


def test_a_terminal_gets_the_same_words(result: CostResult) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    console.print(render(result))
    assert isinstance(console.file, io.StringIO)
    assert "bill of the window" in console.file.getvalue()


def test_rows_sum_to_the_bill(result: CostResult) -> None:
    rows = as_rows(result)
    assert all(tuple(row) == ROW_COLUMNS for row in rows)
    assert sum((row["cost_usd"] for row in rows), Decimal(0)) == result.bill_usd
    assert {row["kind"] for row in rows} == {"request", "idle", "unattributed"}


def test_transactions_have_every_part(result: CostResult) -> None:
    rows = as_transactions(result)
    assert all(tuple(row) == TRANSACTION_COLUMNS for row in rows)
    first = rows[0]
    assert first["cpu_usd"] > 0
    assert first["disk_capacity_share"] == pytest.approx(
        float(first["disk_capacity_usd"] / first["loaded_usd"])
    )
