"""Profiles name probes that there are, and --probe adds to them."""

from __future__ import annotations

import pytest

from stackledger import catalog
from stackledger.capture.profiles import DEFAULT, NAMES, NEEDED, PROFILES, choose
from stackledger.errors import UsageError

EVERY = {probe.name for probe in catalog.probes().values()}


@pytest.mark.parametrize("profile", NAMES)
def test_every_name_of_a_profile_is_a_probe(profile):
    chosen = choose(profile)
    assert set(chosen.probes) <= EVERY
    assert len(set(chosen.probes)) == len(chosen.probes)
    assert chosen.required == set(NEEDED.get(profile, ())) <= set(chosen.probes)


def test_all_and_nothing():
    assert DEFAULT in PROFILES
    assert set(choose("all").probes) == EVERY - {"function_latency"}
    assert choose("none").probes == ()
    assert set(NEEDED) <= set(PROFILES)


def test_a_named_probe_is_added_and_required():
    chosen = choose("net", ["request_ledger"])
    assert chosen.probes == (*PROFILES["net"], "request_ledger")
    assert chosen.required == {"request_ledger"}
    assert choose("none", ["block_io"]).probes == ("block_io",)


def test_a_named_variant_takes_the_place_of_the_profiles_choice():
    chosen = choose("ledger", ["block_io.tracepoint"])
    assert chosen.probes == ("request_ledger", "block_io.tracepoint")
    assert chosen.required == {"request_ledger", "block_io.tracepoint"}


def test_a_profile_that_there_is_not():
    with pytest.raises(UsageError) as failure:
        choose("incidnet")
    assert failure.value.hint == "did you mean incident?"
