"""Which reads more memory answers, against curves and jobs worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from stackledger.analysis.missratio import MissRatioCurve, Points
from stackledger.analysis.whatif.cache import Cache, Hits, hits, without_reads
from stackledger.analysis.whatif.demand import Job
from stackledger.analysis.whatif.simulator import Load, System, replay

GIB = 1 << 30
MS = 1_000_000
# Half of what is asked for misses in 1 GiB, a fifth in 3, a tenth in 5.
STEPS = Points([1.0 * GIB, 3.0 * GIB, 5.0 * GIB], [0.5, 0.2, 0.1])
CURVE = MissRatioCurve("(host)", 2 * GIB, 0.5, 0.5, 1.0, 6 * GIB, 0.0, STEPS, (STEPS,) * 8)
REMEDY = "stackledger capture --probe page_reuse --probe page_cache"
CACHE = Cache(Decimal(8), CURVE)


def job(visits: int, reads: int) -> Job:
    """Return a job whose reads take 2 ms and 8 KiB each, its writes 1 ms and 4 KiB."""
    writes = visits - reads
    return Job(
        arrival_ns=0,
        wall_ns=0,
        think_ns=0,
        endpoint="GET /",
        cpu_ns=0.0,
        runq_ns=0.0,
        disk_ns=0.0,
        wait_ns=0.0,
        beside_ns=0.0,
        database_share=0.0,
        visits=visits,
        bytes=8192 * reads + 4096 * writes,
        service_ns=(2.0 * reads + writes) * MS,
        reads=reads,
        read_bytes=8192 * reads,
        read_ns=2.0 * reads * MS,
    )


@pytest.mark.parametrize(("gib", "share"), [("8.5", 0.0), ("9", 0.6), ("11", 0.8), ("12", 0.8)])
def test_hits_are_the_misses_that_the_curve_no_longer_has(gib, share):
    found = hits(CACHE, Decimal(gib))
    assert isinstance(found, Hits)
    assert (found.share, found.low, found.high) == pytest.approx((share, share, share))


def test_their_interval_is_that_of_the_curve():
    other = replace(STEPS, miss_ratios=[0.5, 0.22, 0.1])
    found = hits(replace(CACHE, curve=replace(CURVE, parts=(STEPS, other) * 4)), Decimal(9))
    assert isinstance(found, Hits)
    # The miss ratio's standard deviation is 0.01069, times 2.365 x 7 / sqrt(8): 0.0626.
    wanted = (0.6, 1 - 0.26257 / 0.5, 1 - 0.13743 / 0.5)
    assert (found.share, found.low, found.high) == pytest.approx(wanted, abs=1e-4)


def test_the_model_is_corrected_before_it_is_asked():
    curve = replace(CURVE, measured_today=0.25, correction=0.5)
    found = hits(replace(CACHE, curve=curve), Decimal(9))
    assert isinstance(found, Hits)
    # 0.5 x 0.2 against the measured 0.25.
    assert found.share == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("cache", "gib", "why"),
    [
        (CACHE, "8", "it has 8 GiB today: only more can be foreseen"),
        (
            CACHE,
            "12.5",
            "the capture tells of a cache of at most 6 GiB, this would be 6.5 GiB: capture longer",
        ),
        (
            replace(CACHE, curve=replace(CURVE, today_bytes=1 << 20, largest_bytes=40 << 20)),
            "8.25",
            "the capture tells of a cache of at most 40 MiB, this would be 257 MiB: capture longer",
        ),
        (Cache(Decimal(8), None, "not recorded"), "16", "not recorded"),
        (
            replace(CACHE, curve=replace(CURVE, measured_today=None)),
            "9",
            f"how much misses today is not known: {REMEDY}",
        ),
        (
            replace(CACHE, curve=replace(CURVE, today_bytes=None)),
            "9",
            "how large the cache is today was not recorded",
        ),
        (
            replace(CACHE, curve=replace(CURVE, correction=0.0, measured_today=0.0)),
            "9",
            "nothing that was asked for is read from a disk today",
        ),
    ],
)
def test_what_cannot_be_told_is_refused_with_the_reason(cache, gib, why):
    assert hits(cache, Decimal(gib)) == why


def test_reads_go_and_writes_stay():
    assert without_reads([job(5, 3)], 1.0) == [
        replace(job(2, 0), service_ns=pytest.approx(2.0 * MS), read_ns=pytest.approx(0.0))
    ]
    assert without_reads([job(5, 3)], 0.0) == [job(5, 3)]


def test_a_share_of_the_reads_goes_always_the_same_ones_and_those_of_a_smaller_share():
    jobs = [job(4, 3) for _ in range(4000)]
    some, more = without_reads(jobs, 0.25), without_reads(jobs, 0.6)
    assert some == without_reads(jobs, 0.25)
    left = [sum(one.reads for one in made) / 12_000 for made in (some, more)]
    assert left == pytest.approx([0.75, 0.4], abs=0.02)
    assert all(b.reads <= a.reads for a, b in zip(some, more, strict=True))
    for one in more:
        assert one.visits == one.reads + 1
        assert one.bytes == 8192 * one.reads + 4096
        assert one.service_ns == pytest.approx((2.0 * one.reads + 1) * MS)


def test_alone_a_job_without_its_reads_takes_the_rest():
    (left,) = without_reads([job(5, 3)], 1.0)
    found = replay([left], System(1), Load(closed=False, clients=1))
    assert found.answers == [("GET /", pytest.approx(2 * MS))]
