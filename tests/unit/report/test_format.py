"""Numbers become text here and nowhere else, so every rounding edge is a test."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackledger.report.format import (
    NO_VALUE,
    batch,
    count,
    duration,
    money,
    money_within,
    rate,
    share,
    signed_share,
    size,
)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"),
        (1, "1 ns"),
        (850, "850 ns"),
        (999.6, "1.00 µs"),
        (12_345, "12.3 µs"),
        (99_960, "100 µs"),
        (999_600, "1.00 ms"),
        (1_240_000, "1.24 ms"),
        (200_100_000, "200 ms"),
        (999_999_999, "1.00 s"),
        (59_400_000_000, "59.4 s"),
        (59_600_000_000, "1 min 00 s"),
        (185_000_000_000, "3 min 05 s"),
        (3_599_700_000_000, "1 h 00 min"),
        (90_000_000_000_000, "1 d 01 h"),
        (-1_500, "-1.50 µs"),
        (-185_000_000_000, "-3 min 05 s"),
    ],
)
def test_duration_picks_the_unit(ns: float, text: str) -> None:
    assert duration(ns) == text


def test_duration_in_a_fixed_unit_can_be_added_up() -> None:
    assert [duration(ns, "ms") for ns in (5_100_000, 200_100_000, 40_000)] == [
        "5.1 ms",
        "200.1 ms",
        "0.0 ms",
    ]


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0"),
        (999, "999"),
        (12_345, "12,345"),
        (999_999, "999,999"),
        (999_999.6, "1.00 M"),
        (1_234_567, "1.23 M"),
        (999_999_999, "1.00 G"),
        (5_000_000_000, "5.00 G"),
        (-3, "-3"),
    ],
)
def test_count(n: float, text: str) -> None:
    assert count(n) == text


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0, "0.0 %"),
        (0.0001, "< 0.1 %"),
        (0.0005, "0.1 %"),
        (0.123, "12.3 %"),
        (1, "100.0 %"),
        (Decimal("0.5"), "50.0 %"),
        (-0.02, "-2.0 %"),
    ],
)
def test_share(x: float | Decimal, text: str) -> None:
    assert share(x) == text


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.123, "+12.3 %"),
        (-0.0042, "-0.4 %"),
        (0.0003, "< 0.1 %"),
        (-0.0003, "< 0.1 %"),
        (0, "0.0 %"),
        (None, NO_VALUE),
    ],
)
def test_signed_share(x: float | None, text: str) -> None:
    assert signed_share(x) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (1536, "1.50 KiB"),
        (2**20 - 1, "1.00 MiB"),
        (125 * 2**20, "125 MiB"),
        (2**31, "2.00 GiB"),
    ],
)
def test_size(size_bytes: int, text: str) -> None:
    assert size(size_bytes) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "$0.00"),
        ("0.0000123", "$0.0000123"),
        ("0.0000129999", "$0.000013"),
        ("0.096", "$0.096"),
        ("0.5", "$0.50"),
        ("0.996", "$1.00"),
        ("0.00999999", "$0.01"),
        ("12.3", "$12.30"),
        ("1234.5", "$1,234.50"),
        ("-0.004", "-$0.004"),
        ("0.000000000000001", "$0.000000000000001"),
    ],
)
def test_money(amount: str, text: str) -> None:
    assert money(Decimal(amount)) == text


def test_money_names_other_currencies() -> None:
    assert money(Decimal("2.5"), "EUR") == "€2.50"
    assert money(Decimal("2.5"), "CHF") == "CHF 2.50"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0.0927", "$0.0927"),
        ("0.015", "$0.015"),
        ("0.000123456", "$0.00012"),
        ("0.0000123456", "$0.00001"),
        ("0.00000999", "< $0.00001"),
        ("0.0000000000123", "< $0.00001"),
        ("0", "$0.00"),
        ("12.3", "$12.30"),
    ],
)
def test_money_within_so_many_decimals(amount: str, text: str) -> None:
    assert money_within(Decimal(amount), 5) == text


def test_money_with_fixed_decimals() -> None:
    assert money(Decimal("0.000461016"), decimals=6) == "$0.000461"
    assert money(Decimal(0), decimals=4) == "$0.0000"


@pytest.mark.parametrize("function", [duration, count, share, signed_share, size, money])
def test_no_value_is_a_dash(function: object) -> None:
    assert callable(function)
    assert function(None) == NO_VALUE
    assert function(Decimal("NaN") if function is money else math.nan) == NO_VALUE


@pytest.mark.parametrize(
    ("dearest", "number"),
    [("0.01", 1), ("0.0099", 1000), ("0.00001", 1000), ("0.0000099", 10**6), ("0", 10**6)],
)
def test_batch_makes_the_dearest_a_cent(dearest: str, number: int) -> None:
    assert batch(Decimal(dearest))[0] == number


@given(st.integers(min_value=1, max_value=59_000_000_000))
def test_duration_says_the_number_to_three_figures(ns: int) -> None:
    number, unit = duration(ns).split()
    factor = {"ns": 1, "µs": 10**3, "ms": 10**6, "s": 10**9}[unit]
    assert 1 <= float(number) < 1000
    assert float(number) * factor == pytest.approx(ns, rel=0.005)


@given(st.integers(min_value=1, max_value=10**17))
def test_money_says_the_number_to_three_figures(picos: int) -> None:
    amount = Decimal(picos) / 10**12
    shown = Decimal(money(amount).removeprefix("$").replace(",", ""))
    assert abs(shown - amount) <= max(amount * Decimal("0.0051"), Decimal(0))


@pytest.mark.parametrize(
    ("per_s", "said"),
    [
        (0.25, "0.25 /s"),
        (99.94, "99.9 /s"),
        (8980, "8,980 /s"),
        (16828, "16.8 k/s"),
        (999_960, "1.00 M/s"),
        (None, "–"),
    ],
)
def test_a_rate_is_never_wider_than_a_column(per_s, said):
    assert rate(per_s) == said
    assert len(said) < 9
