"""The ledgers of several percentiles: each adds up, and is the one that `attribute` gives."""

from __future__ import annotations

import pytest

from stackledger.analysis.attribution import attribute
from stackledger.report.percentiledata import bands
from stackledger.report.percentiles import rows
from stackledger.report.slowdata import SLOWEST, slowest


def test_each_adds_up_and_is_that_of_attribute(shop) -> None:  # type: ignore[no-untyped-def]
    connection = shop(transactions=1000).open()
    found = bands(connection, attribute(connection))
    assert [one.percentile for one in found] == [50, 75, 90, 95, 99]
    for one in found:
        assert sum(line.own_ns for line in one.band.lines) == pytest.approx(one.band.wall_ns)
        if one.percentile != 50:
            assert one.band == attribute(connection, percentile=one.percentile).slow
    shown = rows(found, 99.0)
    assert [one.name for one in shown if one.asked] == ["p99"]
    assert shown[-1].words[0].startswith("app shop disk ")
    lengths = [sum(piece.width for piece in one.segments) for one in shown]
    assert max(lengths) == pytest.approx(100, abs=0.2)
    assert lengths[0] < 10


@pytest.mark.parametrize(
    ("transactions", "asked", "expected"),
    [(100, 80.0, [50, 75, 80, 90]), (40, 50.0, [50, 75])],
)
def test_few_transactions_have_few_percentiles(
    shop,  # type: ignore[no-untyped-def]
    transactions: int,
    asked: float,
    expected: list[float],
) -> None:
    connection = shop(transactions=transactions).open()
    found = bands(connection, attribute(connection, percentile=asked))
    assert [one.percentile for one in found] == expected


def test_of_comparable_endpoints_each_is_among_the_slowest(shop) -> None:  # type: ignore[no-untyped-def]
    # Every tenth request is slow, so only the endpoints at 1 and 3 of four have slow ones.
    connection = shop(transactions=200, endpoints=("GET /a", "GET /b", "GET /c", "GET /d")).open()
    shown = slowest(connection, None)
    assert len(shown) == SLOWEST
    assert {one.endpoint for one in shown} == {"GET /b", "GET /d"}
    assert [one.wall_ns for one in shown] == sorted((one.wall_ns for one in shown), reverse=True)
