"""Figures and their intervals."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from stackledger.analysis.prediction import FIGURES
from stackledger.analysis.whatif.statistics import figures, latency, rate


def test_percentiles_are_nearest_rank():
    assert figures(list(range(1, 101))) == {"mean": 50.5, "p50": 50, "p95": 95, "p99": 99}
    assert figures([7.0]) == {"mean": 7, "p50": 7, "p95": 7, "p99": 7}
    assert figures([]) == dict.fromkeys(FIGURES, 0.0)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e12), max_size=70), st.floats(0, 2))
def test_an_interval_holds_its_figure(values, error):
    found = latency(values, dict.fromkeys(FIGURES, error))
    for name in FIGURES:
        one = found.figure(name)
        assert 0 <= one.low <= one.value <= one.high


def test_the_replays_error_widens_an_interval():
    values = [float(n % 10) for n in range(1000)]
    narrow, wide = latency(values), latency(values, dict.fromkeys(FIGURES, 0.5))
    assert wide.mean.low < narrow.mean.low <= narrow.mean.high < wide.mean.high


def test_intervals_cover_the_truth_as_often_as_they_say():
    chance = random.Random(3)
    covered = 0
    for _ in range(300):
        found = latency([chance.expovariate(1) for _ in range(900)])
        covered += found.mean.low <= 1 <= found.mean.high
    assert 0.90 <= covered / 300 <= 0.99


def test_neighbours_that_are_alike_make_an_interval_wider():
    chance = random.Random(3)
    alone = [chance.expovariate(1) for _ in range(900)]
    alike = [value for value in alone[:30] for _ in range(30)]
    assert latency(alike).mean.high - latency(alike).mean.low > 2 * (
        latency(alone).mean.high - latency(alone).mean.low
    )


def test_rates():
    found = rate([100.0, 110.0, 90.0] * 10)
    assert found.value == 100
    assert 95 < found.low < 100 < found.high < 105
    assert rate([]).value == 0
