"""The replay against systems whose answer is known: queues of theory, limits by hand."""

from __future__ import annotations

import random

import pytest

from stackledger.analysis.whatif.demand import Job
from stackledger.analysis.whatif.formula import erlang_c, mean_latency, waiting
from stackledger.analysis.whatif.limiter import Limit, limiter
from stackledger.analysis.whatif.simulator import Load, System, replay
from stackledger.analysis.whatif.statistics import figures

MS = 1_000_000
OPEN = Load(closed=False, clients=1)


def job(arrival_ms: float = 0, **told: float) -> Job:
    fields = {"wall_ns": 0, "think_ns": 0, "cpu_ns": 0.0, "runq_ns": 0.0, "disk_ns": 0.0}
    fields |= {"wait_ns": 0.0, "beside_ns": 0.0, "database_share": 0.0} | told
    return Job(arrival_ns=round(arrival_ms * MS), endpoint="GET /", **fields)


def poisson(rate_hz: float, number: int, **told: object) -> list[Job]:
    chance = random.Random(7)
    at, jobs = 0.0, []
    for _ in range(number):
        at += chance.expovariate(rate_hz / 1000)
        made = {k: v(chance) if callable(v) else v for k, v in told.items()}
        jobs.append(job(at, **made))
    return jobs


def mean(found) -> float:
    return figures([latency for _, latency in found.answers])["mean"]


def admitted(limit: Limit, times_ms: list[float], ios: int = 1, size: int = 8192) -> list[float]:
    asked = limiter(limit)
    return [asked.admit(at * MS, ios, size) / MS for at in times_ms]


def test_an_even_limit_spaces_ios_and_forgets_idle_time():
    assert admitted(Limit(100, None), [0, 0, 0, 100]) == [0, 10, 20, 100]


def test_bytes_limit_too():
    assert admitted(Limit(1000, 1_000_000), [0, 0], size=50_000) == [0, 50]


def test_a_window_gives_its_quota_at_once_and_then_nothing():
    found = admitted(Limit(40, None, 100 * MS), [0, 1, 2, 3, 4, 5, 6, 7, 8])
    assert found == [0, 1, 2, 3, 100, 100, 100, 100, 200]


def test_what_a_window_leaves_is_lost_and_after_a_pause_it_begins_anew():
    found = admitted(Limit(20, None, 100 * MS), [0, 150, 151, 152, 450, 460, 470])
    assert found == [0, 150, 151, 200, 450, 460, 550]


def test_a_window_has_a_quota_of_bytes_as_well():
    found = admitted(Limit(None, 1_000_000, 100 * MS), [0, 0, 0], size=60_000)
    assert found == [0, 100, 100]


def test_a_quota_of_less_than_one_io_is_even():
    assert admitted(Limit(5, None, 100 * MS), [0, 0]) == [0, 200]


def test_alone_a_job_takes_the_sum_of_its_parts():
    alone = job(cpu_ns=3.0 * MS, wait_ns=2.0 * MS, visits=2, bytes=8192, service_ns=1.0 * MS)
    found = replay([alone], System(1, limit=Limit(1000, None)), OPEN)
    assert found.answers == [("GET /", pytest.approx(6 * MS))]


def test_one_cpu_with_random_arrivals_waits_as_the_formula_says():
    jobs = poisson(60, 40_000, cpu_ns=lambda chance: chance.expovariate(0.1) * MS)
    found = replay(jobs, System(1), OPEN)
    expected = 10 / (1 - 0.6)
    assert mean(found) / MS == pytest.approx(expected, rel=0.07)
    assert found.cpu_share == pytest.approx(0.6, rel=0.03)
    assert mean_latency(jobs, System(1), OPEN) / MS == pytest.approx(expected, rel=0.07)


def test_a_disk_with_random_arrivals_waits_half_as_long_as_one_of_random_service():
    jobs = poisson(70, 40_000, visits=1)
    found = replay(jobs, System(1, limit=Limit(100, None)), OPEN)
    # M/D/1: rho / (2 (1 - rho)) services of 10 ms; the visit itself takes no time here.
    expected = 0.7 / (2 * 0.3) * 10
    assert mean(found) / MS == pytest.approx(expected, rel=0.05)
    assert mean_latency(jobs, System(1, limit=Limit(100, None)), OPEN) / MS == pytest.approx(
        expected, rel=0.05
    )


@pytest.mark.parametrize("window", [0, 100 * MS])
@pytest.mark.parametrize("iops", [200, 400, 1000])
def test_callers_that_wait_share_the_disk_by_littles_law(iops, window):
    jobs = [job(cpu_ns=0.2 * MS, visits=1, think_ns=1 * MS) for _ in range(4000)]
    found = replay(jobs, System(2, limit=Limit(iops, None, window)), Load(closed=True, clients=16))
    assert mean(found) / MS == pytest.approx(16 / iops * 1000 - 1, rel=0.04)
    assert found.rate_hz == pytest.approx(iops, rel=0.04)
    assert found.iops_share == pytest.approx(1, rel=0.04)


def test_a_windows_tail_is_far_longer_than_an_even_limits():
    jobs = [job(cpu_ns=0.2 * MS, visits=1) for _ in range(4000)]
    tails = []
    for window in (0, 100 * MS):
        found = replay(jobs, System(2, limit=Limit(400, None, window)), Load(True, 16))
        tails.append(figures([one for _, one in found.answers])["p99"] / MS)
    assert tails[0] == pytest.approx(40, rel=0.05)
    assert tails[1] > 90


@pytest.mark.parametrize(("cpus", "expected"), [(1, 80), (2, 40), (8, 10), (16, 10)])
def test_callers_that_want_cpus_get_their_share(cpus, expected):
    jobs = [job(cpu_ns=10.0 * MS) for _ in range(2000)]
    found = replay(jobs, System(cpus), Load(closed=True, clients=8))
    assert mean(found) / MS == pytest.approx(expected, rel=0.02)


def test_a_cpu_of_twice_the_speed_is_two():
    jobs = [job(cpu_ns=10.0 * MS) for _ in range(2000)]
    found = replay(jobs, System(1, speed=2.0), Load(closed=True, clients=8))
    assert mean(found) / MS == pytest.approx(40, rel=0.02)


def test_what_runs_beside_takes_its_share_of_a_full_cpu():
    jobs = [job(cpu_ns=1.0 * MS) for _ in range(4000)]
    found = replay(jobs, System(1, extra_ns=1.0 * MS), Load(closed=True, clients=4))
    assert found.rate_hz == pytest.approx(500, rel=0.05)


def test_and_stays_out_of_the_way_of_one_that_is_not():
    jobs = [job(at * 10, cpu_ns=1.0 * MS) for at in range(1000)]
    found = replay(jobs, System(2, extra_ns=5.0 * MS), OPEN)
    assert mean(found) / MS == pytest.approx(1, rel=0.05)


def test_a_replica_takes_its_share_of_the_disk():
    jobs = [job(visits=1) for _ in range(4000)]
    system = System(2, limit=Limit(200, None), replica_share=0.5)
    found = replay(jobs, system, Load(closed=True, clients=16))
    assert found.rate_hz == pytest.approx(400, rel=0.05)


def test_more_load_is_more_callers_or_more_arrivals():
    jobs = [job(at * 10, cpu_ns=1.0 * MS) for at in range(1000)]
    assert replay(jobs, System(1), Load(False, 1, 1.5)).rate_hz == pytest.approx(150, rel=0.01)
    assert mean(replay(jobs, System(1), Load(True, 4, 1.5))) / MS == pytest.approx(6, rel=0.01)


def test_the_same_demands_give_the_same_latencies():
    jobs = poisson(60, 500, cpu_ns=lambda chance: chance.expovariate(0.1) * MS, visits=1)
    system = System(1, limit=Limit(100, None, 100 * MS))
    assert replay(jobs, system, OPEN) == replay(jobs, system, OPEN)


def test_formulas_against_known_values():
    assert erlang_c(1, 0.5) == pytest.approx(0.5)
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)
    assert erlang_c(4, 4.0) == 1
    assert waiting(1, 50, 10 * MS, 1, 1) == pytest.approx(10 * MS)
    assert waiting(2, 200, 10 * MS, 1, 1) == float("inf")


def test_the_closed_formula_meets_the_replay():
    jobs = [job(cpu_ns=0.5 * MS, wait_ns=1.0 * MS, visits=1) for _ in range(4000)]
    for iops in (200, 1000, 5000):
        system = System(2, limit=Limit(iops, None))
        load = Load(closed=True, clients=16)
        assert mean_latency(jobs, system, load) == pytest.approx(
            mean(replay(jobs, system, load)), rel=0.2
        )
