"""The cost report: it fits 80 columns, says what it rests on, and shows that it sums."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal
from itertools import takewhile
from typing import TYPE_CHECKING

import duckdb
import pytest
from rich.console import Console

from stackledger.analysis.costmodel import load_model
from stackledger.analysis.costs import priced as cost_table
from stackledger.report.cost import render, text
from stackledger.report.costrows import (
    ROW_COLUMNS,
    TRANSACTION_COLUMNS,
    as_rows,
    as_transactions,
)

if TYPE_CHECKING:
    from stackledger.analysis.costresult import CostResult

HOSTILE = "GET /[red]\x1b[31m/<script>/" + "x" * 200


@pytest.fixture
def result() -> CostResult:
    connection = duckdb.connect()
    connection.execute(
        """
        CREATE TABLE usage AS SELECT * FROM (VALUES
          ('GET /api/orders/{id}', 'gateway', 'nginx', 1234, 400000000, 0, 0, 4000000),
          ('GET /api/orders/{id}', 'database', 'postgres', 1234, 1000000000, 9000, 73728000, 0),
          ('GET /healthz', 'gateway', 'nginx', 10, 4000000, 0, 0, 5000),
          ($hostile, 'app', 'python', 3, 5000000, 0, 0, 0))
        AS t(endpoint, layer, service, requests, cpu_ns, disk_ios, disk_bytes, net_bytes)
        """,
        {"hostile": HOSTILE},
    )
    # Thirty blocks that differ a little: the last gets the rest of each figure.
    connection.execute(
        """
        CREATE TABLE cost_part AS
        SELECT
          endpoint, layer, service, block,
          COLUMNS(lambda c: c IN ('requests', 'cpu_ns', 'disk_ios', 'disk_bytes', 'net_bytes'))
            // 31 + CASE WHEN block % 2 = 0 THEN 1 ELSE 0 END
        FROM usage, range(30) AS t(block)
        WHERE requests > 100;
        INSERT INTO cost_part
        SELECT endpoint, layer, service, 29, requests, cpu_ns, disk_ios, disk_bytes, net_bytes
        FROM usage WHERE requests <= 100;
        CREATE TABLE cost_count AS
        SELECT endpoint, block, MAX(requests) AS requests FROM cost_part GROUP BY ALL;
        CREATE TABLE cost_traffic AS
        SELECT endpoint, layer, service, '198.51.100.7' AS remote_addr, 0 AS recv_bytes,
          net_bytes AS send_bytes
        FROM usage;
        CREATE TABLE cost_peak AS
        SELECT 'cpu' AS resource, '' AS endpoint, '' AS layer, '' AS service, 1::HUGEINT AS use
        LIMIT 0;
        CREATE TABLE cost_tracer AS SELECT 2000000 AS cpu_ns;
        CREATE TABLE cost_unattributed AS SELECT 'cpu' AS resource, 7000000 AS use;
        CREATE TABLE cost_window AS
        SELECT 'h' AS host, 10000000000 AS window_ns, 2 AS cpus, 0.01 AS lost_share;
        CREATE TABLE cost_disks AS SELECT 'h' AS host, 'vda' AS device, 'database' AS layer
        """
    )
    return cost_table(connection, load_model("gcp-us-central1"))


def test_plain_text_fits_and_carries_no_control_characters(result: CostResult) -> None:
    said = text(result)
    assert max(len(line) for line in said.splitlines()) <= 80
    assert "\x1b" not in said
    assert "GET /[red]\\x1b[31m" in said


def test_a_layer_that_costs_next_to_nothing_does_not_widen_the_columns(result: CostResult) -> None:
    """As haproxy's, of the few requests whose caller was lost with their packets."""
    some = next(r for r in result.rows if r.kind == "request" and r.part == "cpu")
    tiny = replace(some, layer="gateway", service="haproxy", cost_usd=Decimal("0.000000000001"))
    told = text(replace(result, rows=[*result.rows, tiny])).splitlines()
    (line,) = [line for line in told if "gateway haproxy" in line]
    assert "< $" in line
    # Whole, with nothing cut, and as wide as an amount of four figures.
    assert max(map(len, told)) <= 80
    assert len(line) <= len(max(text(result).splitlines()[4:12], key=len)) + 4


def test_it_says_what_a_reader_needs(result: CostResult) -> None:
    said = " ".join(text(result).split())
    for expected in (
        "Cost per million requests by endpoint: model gcp-us-central1, 10.0 s",
        "+ recording itself (tracer)",
        "± 95 %",
        "at most: all that was lost",
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


def test_the_disk_line_is_about_what_reads_the_disk_where_others_are_dearer(result):
    # The health check is the dearest here by far, and never waits for a disk.
    dearest = next(row for row in result.transactions if row.endpoint == "GET /healthz")
    result.transactions.remove(dearest)
    result.transactions.insert(0, dearest)
    assert "per million requests: GET /api/orders/{id}\n" in text(result)


def test_the_resources_amounts_and_uses_are_not_cut(result: CostResult) -> None:
    # So many decimals has a bill of a tenth of a cent: a machine's ten seconds.
    small = replace(result, bill_usd=Decimal("0.0009"))
    lines = text(small).splitlines()
    head = next(n for n, line in enumerate(lines) if line.startswith("resource "))
    assert lines[head].endswith(" used")
    assert "tracer" in lines[head]
    shown = list(takewhile(str, lines[head + 1 :]))
    assert len(shown) == sum(1 for row in result.resources if row.cost_usd)
    assert all(line.endswith((" %", "–")) for line in shown)


def test_endpoints_beyond_the_limit_are_counted(result: CostResult) -> None:
    said = text(result, limit=1)
    assert "2 more: $" in said
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
    assert {row["kind"] for row in rows} == {"request", "idle", "tracer", "unattributed"}


def test_transactions_have_every_part(result: CostResult) -> None:
    rows = as_transactions(result)
    assert all(tuple(row) == TRANSACTION_COLUMNS for row in rows)
    first = rows[0]
    assert first["cpu_usd"] > 0
    assert first["disk_capacity_share"] == pytest.approx(
        float(first["disk_capacity_usd"] / first["loaded_usd"])
    )
