"""The price list as a user reads it: found, searched, and nothing there."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from stackledger.analysis.pricecatalog import load_catalog
from stackledger.analysis.volumes import volume_types


def test_the_list_shows_every_price_with_currency_date_and_confidence(run):
    outcome = run("prices")
    assert outcome.code == 0
    lines = outcome.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    prices = load_catalog().prices
    assert sum("$" in line for line in lines) == len(prices)
    assert sum(line.endswith(tuple(str(p.source_date) for p in prices)) for line in lines) >= len(
        prices
    )
    # Three figures would be wrong here: a list price is exact.
    assert "  instance    $0.08925 per hour" in outcome.stdout
    unpriced = len({v.sku for v in volume_types()} - {p.sku for p in prices})
    assert outcome.stderr == f"… {unpriced} volume types without a price: --limits\n"


def test_words_narrow_the_list(run):
    outcome = run("prices", "AWS", "gp3")
    assert outcome.stderr == ""
    assert outcome.stdout.splitlines() == [
        "aws/us-east-1/gp3                                                        premium",
        "  capacity    $0.08 per GB-month                             verified 2024-07-01",
        "  iops        $0.00 per IOPS-month, 0 to 3,000               verified 2024-07-01",
        "  iops        $0.005 per IOPS-month, 3,000 to 80,000         verified 2024-07-01",
        "  throughput  $0.00 per MBps-month, 0 to 125                 verified 2024-07-01",
        "  throughput  $0.04 per MBps-month, 125 to 2,000             verified 2024-07-01",
        "  limits      IOPS 3,000 included, at most 80,000, 500 per GiB; MiB/s 125",
        "              included, at most 2,000; 0.25 MiB/s per IOPS; at most 65,536 GiB",
        "              (secondary 2025-09-01)",
    ]


def test_rows_hold_the_prices_exactly(run):
    outcome = run("prices", "--format", "json", "--provider", "azure", "--dimension", "capacity")
    rows = json.loads(outcome.stdout, parse_float=Decimal)
    known = {p.sku: p for p in load_catalog().prices if p.dimension == "capacity"}
    assert {row["sku"].split("/")[0] for row in rows} == {"azure"}
    for row in rows:
        price = known[row["sku"]]
        assert (row["price"], row["currency"]) == (price.price, "USD")
        assert (row["source_date"], row["source"]) == (str(price.source_date), price.source)


def test_a_volume_type_without_a_price_is_found_by_name(run):
    outcome = run("prices", "--sku", "premium-ssd-p30")
    assert outcome.code == 0
    assert "no price in the catalogue; a model can bring its own: [[price]]" in outcome.stdout
    assert "IOPS 5,000; MiB/s 191; at most 1,024 GiB" in outcome.stdout


def test_limits_are_rows_too(run):
    outcome = run("prices", "gp2", "--sku", "gp2", "--limits", "--format", "json")
    (row,) = json.loads(outcome.stdout)
    assert (row["iops_per_gib"], row["iops_burst"], row["tier"]) == (3, 3000, "premium")
    assert row["throughput_max_bytes"] == 250 * 2**20


@pytest.mark.parametrize(
    ("words", "code", "line", "hint"),
    [
        (["gp33"], 4, "no price matches: gp33", "nearest: aws/us-east-1/gp3, aws/us-east-1/gp2"),
        (["--sku", "m6i.lrge"], 4, "no price matches: m6i.lrge", None),
        (["xyzzy"], 4, "no price matches: xyzzy", "without words: all of it"),
        (
            ["--provider", "asw"],
            2,
            "the catalogue has no such provider: asw",
            "did you mean aws?",
        ),
        (
            ["--dimension", "capasity"],
            2,
            "the catalogue has no such dimension: capasity",
            "did you mean capacity?",
        ),
    ],
)
def test_nothing_found_names_the_nearest(run, words, code, line, hint):
    outcome = run("prices", *words)
    told = outcome.stderr.splitlines()
    assert (outcome.code, outcome.stdout) == (code, "")
    assert told[0] == f"stackledger: error: {line}"
    assert len(told) == 2
    if hint and hint.startswith("nearest"):
        assert told[1].startswith("hint: nearest: aws/us-east-1/gp3")
    elif hint:
        assert told[1] == f"hint: {hint}"
    else:
        assert "aws/us-east-1/m6i.large" in told[1]


def test_the_words_of_the_asker_are_printed_harmlessly(run):
    outcome = run("prices", "\x1b[31m")
    assert (outcome.code, outcome.stdout) == (4, "")
    assert "\x1b" not in outcome.stderr
