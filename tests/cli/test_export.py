"""`stackledger export`: files that keep their rules, and one clear line where there are none."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import pytest


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows_of(path):
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


def bill(ask, model="aws-us-east-1"):
    rows = json.loads(ask("cost", "--model", model, "--format", "json").stdout, parse_float=Decimal)
    return sum(Decimal(row["cost_usd"]) for row in rows)


@pytest.mark.parametrize("model", ["aws-us-east-1", "gcp-us-central1"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_focus_sums_to_the_bill_and_keeps_every_rule(ask, here, model, form):
    outcome = ask("export", "--to", "focus", "--model", model, "--format", form)
    assert outcome == (0, f"demo-focus.{form}\n", "")
    assert [path.name for path in here.iterdir()] == [f"demo-focus.{form}"]
    checked = ask("export", "--check", f"demo-focus.{form}")
    assert (checked.code, checked.stderr) == (0, "")
    assert checked.stdout.endswith("rows, every rule of FOCUS 1.2 that is checked holds\n")
    if form == "csv":
        rows = rows_of(here / "demo-focus.csv")
        total = sum(Decimal(row["BilledCost"]) for row in rows)
        assert abs(total - bill(ask, model)) < Decimal("1e-10")
        assert {row["BillingAccountId"] for row in rows} == {model}


def test_prices_of_ones_own_are_told_apart(ask, here):
    (here / "own.toml").write_text(
        'schema = "cost-model/1"\ncurrency = "EUR"\n'
        '[[node]]\nmatch = {host = "*"}\nsku = "acme/rack-1/blade"\nvcpu = 2\nmemory_gib = 8\n'
        '[[price]]\nsku = "acme/rack-1/blade"\ndimension = "instance"\nprice = 0.10\n'
        'reason = "the contract"\ndate = 2026-11-01\n'
    )
    assert ask("export", "--model", "own.toml", "-o", "rows.csv").code == 0
    assert ask("export", "--check", "rows.csv").code == 0
    rows = rows_of(here / "rows.csv")
    columns = ("x_CostBasis", "x_PriceConfidence", "BillingCurrency", "ProviderName", "RegionId")
    assert {tuple(row[name] for name in columns) for row in rows} == {
        ("own_price", "user-supplied", "EUR", "acme", "rack-1")
    }


def test_a_part_and_an_account(ask, here):
    outcome = ask("export", "--last", "2s", "--account", "shop", "-o", "own.csv")
    assert outcome == (0, "own.csv\n", "")
    rows = rows_of(here / "own.csv")
    assert {row["BillingAccountId"] for row in rows} == {"shop"}
    hours = sum(Decimal(row["PricingQuantity"]) for row in rows if row["PricingUnit"] == "Hours")
    assert abs(hours - Decimal(2) / 3600) < Decimal("1e-9")


def test_the_spreadsheet_sums_to_the_bill(ask, here):
    assert ask("export", "--to", "csv") == (0, "demo-costs.csv\n", "")
    rows = rows_of(here / "demo-costs.csv")
    assert sum(Decimal(row["cost_in_window"]) for row in rows) == bill(ask)


def test_it_goes_to_standard_output(program, ask, here):
    ask("export", "-o", "rows.csv")
    done = program("export", "-o", "-", LC_ALL="C")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == (here / "rows.csv").read_bytes()
    parquet = program("export", "-o", "-", "--format", "parquet")
    assert parquet.stdout.startswith(b"PAR1")


def test_a_broken_file_is_told_row_by_row(ask, here, failed):
    ask("export", "-o", "rows.csv")
    text = (here / "rows.csv").read_text(encoding="utf-8")
    (here / "rows.csv").write_text(text.replace("Usage", "usage", 1).replace(",USD,", ",US$,", 1))
    outcome = ask("export", "--check", "rows.csv")
    assert outcome.code == 1
    told = outcome.stdout.splitlines()
    assert told[0].startswith("row 1: ChargeCategory: 'usage' is none of Usage, ")
    assert "row 1: BillingCurrency: 'US$' is no currency code" in told
    assert outcome.stderr.startswith("stackledger: error: ")
    assert "violations of FOCUS 1.2: rows.csv" in outcome.stderr


@pytest.mark.parametrize(
    ("words", "code", "line", "hint"),
    [
        (["--to", "csv", "--format", "parquet"], 2, "only FOCUS is written as Parquet: --to csv",
         "--to focus"),
        (["--account", " "], 2, "an account needs a name: --account", None),
        (["-o", "/nonexistent/x.csv"], 2, "no such folder: /nonexistent", "mkdir -p /nonexistent"),
        (["--model", "aws-us-east"], 2, "no such cost model: aws-us-east",
         "did you mean aws-us-east-1?"),
        (["--check", "no.csv"], 2, "cannot read the file: no.csv: No such file or directory", None),
        (["--check", "."], 2, "cannot read the file: .: Is a directory", None),
        (["nosuch"], 4, "no such capture: nosuch", "stackledger captures lists what {store} holds"),
    ],
)  # fmt: skip
def test_bad_words_make_no_file(ask, here, failed, replayed, words, code, line, hint):
    hint = hint and hint.replace("{store}", str(replayed.store))
    failed(ask("export", *words), code, line, hint)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "the file is empty: x"),
        (b"a,b\n1\n", "a line of the file has another number of fields than its head: x:2"),
        (b"\xff", "neither CSV nor Parquet: x: "),
        (b"PAR1 and no more", "broken Parquet: x: "),
    ],
)  # fmt: skip
def test_what_is_no_focus_file_is_said(ask, here, content, line):
    (here / "x").write_bytes(content)
    outcome = ask("export", "--check", "x")
    assert (outcome.code, outcome.stdout) == (1, "")
    (told,) = outcome.stderr.splitlines()
    assert told.startswith(f"stackledger: error: {line}")
