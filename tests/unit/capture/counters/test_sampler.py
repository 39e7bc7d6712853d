"""All subjects together: one that is dear, or that fails, does not take the others with it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from stackledger.capture.counters.files import Tables
from stackledger.capture.counters.sampler import Sampler
from stackledger.manifest import Anchor

SECOND = 1_000_000_000
BEGIN = 5 * SECOND


def _at(second: float) -> Anchor:
    return Anchor(BEGIN + int(second * SECOND), 0, 0)


@pytest.fixture
def sampler() -> Iterator[Sampler]:
    made = Sampler(_at(0))
    made._sockets._due_ns = BEGIN + 1000 * SECOND
    yield made
    made.close()


class Dear:
    """Takes a seventh of a second of CPU time."""

    def rows(self, now_ns: int) -> Tables:
        end = time.thread_time() + 0.14
        while time.thread_time() < end:
            pass
        return {"host_pressure": [{"interval_ns": 1, "resource": "cpu", "some_ns": now_ns}]}


class Broken:
    """Finds a file that is written another way."""

    def rows(self, now_ns: int) -> Tables:
        del now_ns
        return {"host_limit": [{"used": int("many")}]}


def test_what_is_dear_is_asked_less_often(sampler: Sampler) -> None:
    sampler._subjects = [Dear()]
    asked = [second for second in range(1, 9) if sampler.tick(_at(second), 0)]
    assert len(asked) in (2, 3)
    assert asked[0] == 1
    assert asked[1] >= 4


def test_what_fails_is_said_once_and_the_others_go_on(
    sampler: Sampler, capsys: pytest.CaptureFixture[str]
) -> None:
    sampler._subjects.insert(0, Broken())
    for second in (10, 20, 30):
        assert "host_cpu" in sampler.tick(_at(second), 0)
    said = capsys.readouterr().err
    assert said.count("no rows of broken") == 1
    assert "many" in said


def test_times_are_moved_to_the_epoch_and_too_short_a_second_waits(sampler: Sampler) -> None:
    assert sampler.tick(_at(0.05), 7) == {}
    (row,) = sampler.tick(_at(1), 7)["host_cpu"].to_pylist()
    assert row["ts_ns"] == BEGIN + SECOND + 7
    assert row["interval_ns"] == SECOND
