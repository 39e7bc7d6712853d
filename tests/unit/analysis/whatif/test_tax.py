"""What retransmissions cost, against machines counted by hand."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from stackledger.analysis.costmodel import load_model
from stackledger.analysis.prediction import Figure, Latency, Outcome
from stackledger.analysis.whatif.prices import Priced, priced
from stackledger.analysis.whatif.simulator import System
from stackledger.analysis.whatif.tax import Segments, change


def before(busy: float) -> Outcome:
    one = Figure(1e6, 1e6, 1e6)
    return Outcome(
        latency=Latency(one, one, one, one),
        rate_hz=one,
        busiest="CPU",
        busiest_share=Figure(busy, busy, busy),
        monthly_usd=None,
    )


def fleet(machines: int) -> Priced:
    """Return machines of $70.08 for the node and $40.00 for the volume."""
    return priced(load_model("aws-us-east-1"), "web-1", ["sda"], "sda", machines)


@pytest.mark.parametrize(
    ("first", "again", "machines", "left"),
    [
        (95, 5, 1, 1),
        (95, 5, 19, 19),
        (95, 5, 20, 19),
        (95, 5, 39, 38),
        (95, 5, 40, 38),
        # In floating point 10 x (1 - 0.9) is not 1.
        (1, 9, 10, 1),
        (100, 0, 7, 7),
    ],
)
def test_only_whole_machines_can_go(first, again, machines, left):
    assert Segments(first, again).without(machines) == left


def test_five_percent_lost_are_five_and_a_quarter_more():
    found = change(Segments(95, 5, 1.5e6), before(0.9), fleet(20), System(2))
    nodes = "70.08 of the nodes' 1401.60 USD a month"
    assert found.notes == (
        f"5.00% of segments are sent again: 5.26% more machines than without, {nodes}",
        "19 machines would do the work of 20",
        "latency is taken as today's: what requests wait for a lost segment is in it",
        "a request waits 1.500 ms for the network, whatever the reason",
    )
    assert found.monthly_usd == 19 * Decimal("110.08")


def test_one_machine_cannot_go_but_its_tax_is_told():
    found = change(Segments(95, 5), before(0.9), fleet(1), System(2))
    assert found.monthly_usd == Decimal("110.08")
    assert "3.50 of the nodes' 70.08 USD a month" in found.notes[0]
    assert found.notes[1] == "no whole machine of 1 could go"


@pytest.mark.parametrize(
    ("segments", "busy", "why"),
    [
        (
            Segments(95, 5),
            0.32,
            "no: not throughput-bound: CPU is 32.0% busy; 5.00% of segments are sent again",
        ),
        (Segments(95, 0), 0.9, "no: of 95 segments none was sent again"),
        (Segments(0, 5), 0.9, "nothing arrives: all is sent again"),
        (None, 0.9, "no segments were counted: stackledger capture --probe tcp_connection"),
    ],
)
def test_no_is_an_answer(segments, busy, why):
    found = change(segments, before(busy), fleet(20), System(2))
    assert (found.refused, found.system) == (why, None)


def test_the_loss_is_a_share_of_all_that_is_sent():
    assert Segments(95, 5).lost == Fraction(1, 20)
