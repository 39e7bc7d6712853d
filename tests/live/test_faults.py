"""Each fault of the fault suite once, at a random moment: bench/reliability.py has more."""

from __future__ import annotations

import random

import harms
import pytest
import trial


@pytest.mark.parametrize("fault", harms.FAULTS, ids=lambda fault: fault.name)
def test_a_capture_survives(fault: harms.Fault) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    result = trial.run(fault, seed)
    print(result)
    assert result.problems == []
