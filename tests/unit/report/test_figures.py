"""Charts: round labels, everything drawn inside, rates of intervals cut short."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackledger.report import figures
from stackledger.report.charts import Axis
from stackledger.report.diskdata import DiskPoint, DiskRow, interval_ns
from stackledger.report.pagedata import Bin

SECOND = 10**9
DISK = DiskRow(1, "sda", 30, 4096, 0, 1e5, 2e5, 3e5, 0.25, 0)


@given(st.floats(1, 1e12), st.floats(1.001, 1e6), st.integers(2, 8), st.booleans())
def test_ticks_are_few_and_inside(low: float, factor: float, most: int, log: bool) -> None:
    axis = Axis(low, low * factor, log)
    ticks = axis.ticks(most)
    assert len(ticks) <= most
    assert ticks == sorted(ticks)
    assert all(low * 0.99 <= tick <= low * factor * 1.01 for tick in ticks)
    assert all(0 <= axis.at(tick) <= 1 for tick in ticks)


def test_log_ticks_are_round() -> None:
    assert Axis(2e5, 7e8, log=True).ticks(7) == [3e5, 1e6, 3e6, 1e7, 3e7, 1e8, 3e8]
    assert Axis(0, 1100).ticks(4) == [0, 500, 1000]


def test_a_histogram_marks_its_percentiles() -> None:
    bins = [Bin(10.0**k, 10.0 ** (k + 1), 10 * k, k == 8) for k in range(3, 9)]
    plot = figures.latency(bins, [("p50", 1e6)])
    assert plot is not None
    assert [(mark.at, mark.text) for mark in plot.marks] == [(50.0, "p50 1.00 ms")]
    assert plot.drawing.count("<path") == 7
    assert plot.drawing.count('fill="var(--bar-slow)"') == 1
    assert 'aria-label="requests by latency, logarithmic; p50 1.00 ms"' in plot.drawing
    assert "100 ms to 1.00 s: 80, 1 of them in the slow band" in plot.drawing
    assert figures.latency([], []) is None


def test_the_last_interval_may_be_short() -> None:
    points = [DiskPoint(0, 20, 1e5, 2e5), DiskPoint(SECOND, 10, 1e5, 2e5)]
    drawn = figures.disk(DISK, points, SECOND * 3 // 2, SECOND, "sda")
    columns = re.findall(r'd="M[0-9.]+,[0-9.]+h([0-9.]+)v([0-9.]+)h', drawn.iops.drawing)
    (whole, rate), (half, same_rate) = columns
    assert rate == same_rate
    assert float(half) == pytest.approx(float(whole) / 2, abs=1)
    assert "30 I/Os: 20 IOPS" in drawn.summary
    places = re.findall(r"[ML]([-0-9.]+),", str(drawn.latency.drawing))
    assert len(places) == 4
    assert all(0 <= float(place) <= 1000 for place in places)


@pytest.mark.parametrize(
    ("window_s", "width_s"), [(1, 1), (120, 1), (121, 2), (3600, 30), (86_400, 1800)]
)
def test_there_are_never_too_many_points(window_s: int, width_s: int) -> None:
    assert interval_ns(window_s * SECOND) == width_s * SECOND
