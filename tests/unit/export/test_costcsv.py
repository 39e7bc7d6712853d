"""The CSV for spreadsheets: it sums to the bill, numbers are numbers, nothing in it runs."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import duckdb
import polars as pl
import pytest

from stackledger.export import costcsv
from stackledger.export.cells import number
from stackledger.untrusted import traced


def read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))


def test_it_sums_to_the_bill_and_each_endpoint_to_its_share(made):
    result = made.priced(made.model())
    rows = read(costcsv.as_csv(result))
    assert list(rows[0]) == list(costcsv.COLUMNS)
    assert sum(Decimal(row["cost_in_window"]) for row in rows) == result.bill_usd
    assert sum(float(row["share_of_bill"]) for row in rows) == pytest.approx(1, abs=1e-4)
    assert {row["currency"] for row in rows} == {"USD"}
    for one in result.transactions:
        own = [row for row in rows if row["endpoint"] == one.endpoint]
        each = sum(Decimal(row["cost_per_transaction"]) for row in own)
        assert abs(each - one.loaded_usd) < Decimal("1e-15")
        assert sum(float(row["share_of_endpoint"]) for row in own) == pytest.approx(1, abs=1e-4)
        assert {row["requests"] for row in own} == {str(one.requests)}
    (idle,) = {row["endpoint"] for row in rows if row["kind"] == "idle"}
    assert idle == ""


def test_programs_read_numbers_in_it(made, tmp_path):
    path = tmp_path / "costs.csv"
    path.write_bytes(costcsv.as_csv(made.priced(made.model())))
    frame = pl.read_csv(path)
    assert frame.columns[0] == "kind"
    assert frame["cost_in_window"].dtype == pl.Float64
    assert frame["requests"].dtype == pl.Int64
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_csv($1))",
            [str(path)],
        ).fetchall()
    types = dict(found)
    assert types["cost_per_transaction"] == "DOUBLE"
    assert types["kind"] == "VARCHAR"


def test_what_was_traced_is_never_a_formula(made):
    usage = [(start + "cmd|'/c x'!A1", "app", "x", 5, 10**9, 0, 0, 0) for start in "=+-@\t\r"]
    usage += [("", "\n=1", "  =1", 5, 10**9, 0, 0, 0)]
    content = costcsv.as_csv(made.priced(made.model(), usage))
    rows = read(content)
    for row in rows:
        for name in ("endpoint", "layer", "service", "model"):
            assert not row[name].lstrip().startswith(("=", "+", "-", "@"))
            assert not set(row[name]) & set("\t\r\n")
    assert "(unknown)" in {row["endpoint"] for row in rows}
    assert content.startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("1E-15", "0.000000000000001"),
        ("1E+3", "1000"),
        ("0.10", "0.1"),
        ("100", "100"),
        ("0E-12", "0"),
        ("-0.0", "0"),
        ("-1.50", "-1.5"),
    ],
)
def test_numbers_are_written_out(value, written):
    assert number(Decimal(value)) == written


def test_no_text_is_no_text():
    assert traced(None) is None
    assert traced("") == ""
    assert traced("GET /a=b") == "GET /a=b"
    assert traced("\uff1d1") == "'\uff1d1"
