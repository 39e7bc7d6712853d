"""Statistical intervals: known blocks, and how often they cover the truth."""

from __future__ import annotations

import math
import random

import duckdb
import pytest

from stackledger.analysis.intervals import BLOCKS, FEWEST, HALF_WIDTHS

RUNS = 4000


def half_widths(cost: str, requests: str, runs: int = 1) -> list[tuple[int, float, float | None]]:
    """Return run, mean and half width; both expressions are over run and block."""
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.execute("SELECT setseed(0.5)")
    connection.execute(
        "CREATE TABLE cost_block AS SELECT run AS endpoint, block, n AS requests, "
        f"({cost})::DOUBLE AS cost FROM (SELECT run, block, ({requests})::DOUBLE AS n "
        f"FROM range({runs}) AS r(run), range({BLOCKS}) AS b(block))"
    )
    return connection.execute(
        "SELECT endpoint, SUM(cost) / SUM(requests), ANY_VALUE(half_usd) "
        f"FROM cost_block JOIN ({HALF_WIDTHS}) USING (endpoint) GROUP BY endpoint ORDER BY 1"
    ).fetchall()


def test_a_cost_that_does_not_vary_has_no_error() -> None:
    ((_, mean, half),) = half_widths("n * 0.25", "1 + block % 7")
    assert (mean, half) == (0.25, 0)


def test_a_known_spread() -> None:
    """Ten requests a block, cost 9 or 11: se = sqrt(29/30 * 30 * (1 / 290)^2)."""
    ((_, mean, half),) = half_widths("10 + CASE WHEN block % 2 = 0 THEN 1 ELSE -1 END", "10")
    assert mean == 1
    assert half == pytest.approx(2.0452296 * math.sqrt(29) / 290)


def test_too_few_blocks_have_no_interval() -> None:
    ((_, _, half),) = half_widths("n", f"CASE WHEN block < {FEWEST - 1} THEN 1 ELSE 0 END")
    assert half is None
    ((_, _, half),) = half_widths("n", f"CASE WHEN block < {FEWEST} THEN 1 ELSE 0 END")
    assert half is not None


# Requests of a block, and what they cost together: its mean is 2 a request in each. A sum of
# n values that vary like an exponential one has that mean and a spread of sqrt(n).
_NORMAL = "sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())"
LOADS = {
    "steady": ("100", f"2 * (n + sqrt(n) * {_NORMAL})"),
    "varying": (f"greatest(1, round(100 + 20 * {_NORMAL}))", f"2 * (n + sqrt(n) * {_NORMAL})"),
    "bursts": (
        "CASE WHEN random() < 0.2 THEN 300 ELSE 60 END",
        f"2 * n * (1 + 0.3 * {_NORMAL})",
    ),
    "few": (f"greatest(1, round(8 + 3 * {_NORMAL}))", f"2 * (n + sqrt(n) * {_NORMAL})"),
    "skewed": ("50", f"2 * n * exp(0.5 * {_NORMAL} - 0.125)"),
}


@pytest.mark.parametrize("load", LOADS)
def test_intervals_cover_the_truth_as_often_as_they_say(load: str) -> None:
    requests, cost = LOADS[load]
    found = half_widths(cost, requests, RUNS)
    assert len(found) == RUNS
    covered = sum(half is not None and abs(mean - 2) <= half for _, mean, half in found) / RUNS
    assert 0.93 <= covered <= 0.97, covered


def test_the_bare_quantile_would_not_do() -> None:
    """A check of the check: the width of a normal 80 % interval covers too seldom."""
    requests, cost = LOADS["varying"]
    found = half_widths(cost, requests, RUNS)
    covered = sum(abs(mean - 2) <= (half or 0) * 1.2816 / 2.0452 for _, mean, half in found)
    assert covered / RUNS < 0.85


def test_the_seed_of_a_run_is_not_what_decides() -> None:
    chosen = random.Random(7).sample(range(RUNS), 1000)
    requests, cost = LOADS["varying"]
    found = half_widths(cost, requests, RUNS)
    covered = sum(abs(found[at][1] - 2) <= (found[at][2] or 0) for at in chosen) / 1000
    assert 0.93 <= covered <= 0.97
