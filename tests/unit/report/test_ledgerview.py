"""The ledger's table adds up as printed, whatever the numbers and the unit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackledger.analysis.attribution import PARTS, Attribution, Band, Line
from stackledger.report.ledgerview import LedgerView, ledger


def band(rows: list[list[float]]) -> Band:
    lines = [
        Line(f"layer{depth}", "service", depth, 1.0, sum(row), dict(zip(PARTS, row, strict=True)))
        for depth, row in enumerate(rows)
    ]
    return Band(10, sum(map(sum, rows)), 0, 1, lines)


def view(slow: list[list[float]], median: list[list[float]]) -> LedgerView:
    return ledger(Attribution(None, 99.0, 1000, band(slow), band(median)))


ROW = st.lists(st.floats(0, 3e9), min_size=len(PARTS), max_size=len(PARTS))


@settings(deadline=None)  # the first one starts the drawing engine
@given(st.lists(ROW, min_size=1, max_size=5), st.lists(ROW, min_size=1, max_size=5))
def test_rows_and_columns_add_up(slow: list[list[float]], median: list[list[float]]) -> None:
    shown = view(slow, median)
    assert len(shown.rows) == max(len(slow), len(median))
    for row in (*shown.rows, shown.total):
        assert sum(map(Decimal, row.cells)) == Decimal(row.own)
        assert Decimal(row.own) - Decimal(row.median) == Decimal(row.excess)
    for column, total in zip(
        zip(*(row.cells for row in shown.rows), strict=True), shown.total.cells, strict=True
    ):
        assert sum(map(Decimal, column)) == Decimal(total)
    for name in ("own", "median", "excess"):
        parts = (Decimal(getattr(row, name)) for row in shown.rows)
        assert sum(parts) == Decimal(getattr(shown.total, name))


def test_what_rounds_up_everywhere_is_not_made_more() -> None:
    # Nine times 0.15 ms: each alone rounds to 0.2, together they are 1.4, not 1.8.
    shown = view([[150_000.0] * 9 + [700_000.0]], [[0.0] * 10])
    assert shown.unit == "ms"
    assert shown.total.own in ("2.0", "2.1")


@pytest.mark.parametrize(("wall_ns", "unit"), [(9e5, "µs"), (9e6, "ms"), (9e10, "s")])
def test_the_unit_fits_the_wall_time(wall_ns: float, unit: str) -> None:
    assert view([[wall_ns] + [0.0] * 9], [[0.0] * 10]).unit == unit


def test_the_unexplained_column_is_never_left_out() -> None:
    shown = view([[1e7] + [0.0] * 9], [[1e6] + [0.0] * 9])
    assert shown.columns == ["cpu", "unexplained"]
    assert shown.total.cells == ["10.0", "0.0"]
    assert shown.reasons == ["layer0 service cpu +9.00 ms"]
