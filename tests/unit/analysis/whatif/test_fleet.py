"""How many machines are enough, counted by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from stackledger.analysis.costmodel import load_model
from stackledger.analysis.whatif.fleet import CpuDemand, Wish, change
from stackledger.analysis.whatif.prices import Priced, priced
from stackledger.analysis.whatif.simulator import System


def fleet(machines: int) -> Priced:
    """Return machines of $70.08 for the node and $40.00 for the volume."""
    return priced(load_model("aws-us-east-1"), "web-1", ["sda"], "sda", machines)


@pytest.mark.parametrize(
    ("p99", "today", "cpus", "headroom", "load", "needed"),
    [
        # 5 x 1.0 x 1.3 / 2 = 3.25.
        (1.0, 5, 2, 0.3, 1.0, 4),
        (1.0, 5, 2, 0.0, 1.0, 3),
        (1.0, 5, 2, 0.3, 2.0, 7),
        # Exactly whole: in floating point 10 x 1.1 may be a little more than 11.
        (1.1, 10, 1, 0.0, 1.0, 11),
        (0.7, 10, 1, 0.0, 1.0, 7),
        (1.6, 5, 2, 0.25, 1.0, 5),
        (0.0, 5, 2, 0.3, 1.0, 1),
    ],
)
def test_so_many_are_needed(p99, today, cpus, headroom, load, needed):
    assert CpuDemand(p99, 60).machines(today, cpus, headroom, load) == needed


def test_the_fewest_and_their_price():
    found = change(Wish("fewest", 0.3, 1.0, 2.0), CpuDemand(1.0, 60), fleet(5), System(2))
    assert (found.name, found.load) == ("4 nodes (5 today)", 1.25)
    assert found.monthly_usd == 4 * Decimal("110.08")
    assert found.notes == (
        "4 of 5 needed: 1 of 2 CPUs each at p99 of 60 s, and 30% headroom",
        "whole machines go, with their volumes",
    )


def test_the_fewest_are_not_fewer_than_what_was_seen_tells_of():
    found = change(Wish("fewest", 0.3, 1.5, 2.0), CpuDemand(0.1, 60), fleet(20), System(2))
    # 20 x 0.1 x 1.5 x 1.3 / 2 = 1.95: two would do, each under 15 times its load.
    assert (found.name, found.load) == ("15 nodes (20 today)", pytest.approx(20 / 15))
    assert found.notes[-1] == "beyond 2 times the load of each nothing was seen"


def test_more_machines_are_an_option_too():
    found = change(Wish("6", 0.3, 1.0, 2.0), CpuDemand(1.0, 60), fleet(5), System(2))
    assert (found.name, found.load) == ("6 nodes (5 today)", pytest.approx(5 / 6))
    assert found.monthly_usd == 6 * Decimal("110.08")


@pytest.mark.parametrize(
    ("word", "demand", "today", "why"),
    [
        (
            "fewest",
            CpuDemand(1.6, 60),
            1,
            "no: 2 of 1 needed: 1.6 of 2 CPUs each at p99 of 60 s, and 30% headroom",
        ),
        (
            "3",
            CpuDemand(1.0, 60),
            5,
            "no: 4 of 5 needed: 1 of 2 CPUs each at p99 of 60 s, and 30% headroom",
        ),
        (
            "2",
            CpuDemand(0.1, 60),
            5,
            "no prediction beyond 2 times the measured load of each: 3 at least",
        ),
        ("fewest", None, 5, "the CPUs' use was not recorded"),
    ],
)
def test_no_is_an_answer(word, demand, today, why):
    found = change(Wish(word, 0.3, 1.0, 2.0), demand, fleet(today), System(2))
    assert (found.refused, found.system) == (why, None)
