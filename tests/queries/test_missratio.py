"""The miss-ratio curve against exact LRU, from a sample as page_reuse takes it."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stackledger.analysis.missratio import miss_ratio_curve
from stackledger.analysis.queries import run

PAGE, STRIDE, CGROUP = 4096, 32, 77
# So many that a loop's cliff weighs no more than its width.
SIZES = 96
FIRST = 100_000  # accesses before the recording: the cache is warm
COUNT = 300_000


def zipf(pages: int, skew: float, seed: int, base: int = 0) -> Iterator[int]:
    """Yield pages by Zipf's law, the popular ones anywhere."""
    weights = list(itertools.accumulate((k + 1) ** -skew for k in range(pages)))
    places = list(range(base, base + pages))
    random.Random(seed).shuffle(places)
    rng = random.Random(seed + 1)
    while True:
        yield from rng.choices(places, cum_weights=weights, k=10_000)


def loop(pages: int, base: int) -> Iterator[int]:
    """Yield pages in a circle: LRU's worst."""
    return itertools.cycle(range(base, base + pages))


def _mixed() -> Iterator[int]:
    """Yield two working sets, the second half of the first and new pages, and a scan."""
    scan = itertools.count(1 << 24)
    sets = (zipf(20_000, 0.8, 3), zipf(20_000, 0.9, 5, 10_000))
    rng = random.Random(11)
    for number in itertools.count():
        late = number > FIRST + (COUNT - FIRST) // 2
        yield next(scan) if rng.random() < 0.05 else next(sets[late])


def _looped() -> Iterator[int]:
    rng = random.Random(13)
    popular, circle = zipf(10_000, 0.7, 7), loop(16_000, 1 << 20)
    while True:
        yield next(circle) if rng.random() < 0.6 else next(popular)


TRACES: dict[str, Callable[[], Iterator[int]]] = {
    "zipf": lambda: zipf(40_000, 0.9, 1),
    "loop": _looped,
    "phases": _mixed,
}


def stack_distances(trace: list[int]) -> Iterator[int | None]:
    """Yield for each access how many pages a cache must hold to hit; None for a first one."""
    tree = [0] * (len(trace) + 1)  # Fenwick: 1 at the last access of each page

    def add(place: int, value: int) -> None:
        while place < len(tree):
            tree[place] += value
            place += place & -place

    last: dict[int, int] = {}
    for now, page in enumerate(trace, 1):
        before = last.get(page)
        if before is None:
            yield None
        else:
            later, place = len(last), before - 1
            while place > 0:
                later -= tree[place]
                place &= place - 1
            yield later
            add(before, -1)
        add(now, 1)
        last[page] = now


def exact(trace: list[int]) -> Callable[[int], float]:
    """Return the miss ratio of LRU by its size in pages, of the part that is recorded."""
    needed = Counter(itertools.islice(stack_distances(trace), FIRST, None))
    total = len(trace) - FIRST
    return lambda pages: (
        sum(count for size, count in needed.items() if size is None or size > pages) / total
    )


def _bucket(value: int) -> int:
    shift = max(0, value.bit_length() - 7)
    return value >> shift << shift


def _hash(stratum: int) -> int:
    value = (stratum * 2654435761) & (1 << 64) - 1
    for _ in range(2):
        value = ((value >> 16) ^ value) * 73244475 & (1 << 64) - 1
    return (value >> 16) ^ value


def recorded(trace: list[int]) -> dict[str, list[dict[str, object]]]:
    """Return the rows that page_reuse makes of the end of a trace."""
    last: dict[int, int] = {}
    rows: Counter[tuple[bool, int, int]] = Counter()
    for now, page in enumerate(trace[FIRST:], 1):
        hashed = _hash(page // STRIDE)
        if page % STRIDE == hashed % STRIDE:
            rows[page not in last, hashed >> 5 & 7, _bucket(now - last.get(page, 0))] += 1
            last[page] = now
    count = len(trace) - FIRST
    second = {"ts_ns": 10**9, "interval_ns": 10**9}
    whole = {
        "cgroup_id": CGROUP,
        "pid": 4,
        "events": count,
        "lookups": count,
        "sampled": sum(rows.values()),
        "max_stride": STRIDE,
        "max_clock": count,
        "max_host_clock": count,
    }
    reuses = [
        {"cgroup_id": CGROUP, "cold": cold, "part": part, "distance": distance, "accesses": number}
        for (cold, part, distance), number in rows.items()
    ]
    group = {"cgroup": "/db", "memory_cgroup_id": CGROUP, "file_cache_bytes": 6000 * PAGE}
    return {
        "page_access": [{**second, **whole}],
        "page_reuse": [{**second, **row} for row in reuses],
        "cgroup_stat": [{**second, **group}],
    }


@pytest.mark.parametrize("name", TRACES)
def test_the_curve_is_that_of_exact_lru(name: str, capture: Any) -> None:
    trace = list(itertools.islice(TRACES[name](), COUNT))
    lru = exact(trace)
    curve = miss_ratio_curve(capture(assembled=False, **recorded(trace)), "/db")
    assert curve is not None
    assert (curve.today_bytes, curve.measured_today, curve.correction) == (6000 * PAGE, None, 1)
    # Popular working sets of 10,000 pages and more: so many sizes are told of.
    assert curve.largest_bytes > 10_000 * PAGE
    sizes = [int(curve.largest_bytes / PAGE * share / SIZES) for share in range(1, SIZES + 1)]
    errors = [abs(curve.miss_ratio(size * PAGE) - lru(size)) for size in sizes]
    print(name, f"{sum(errors) / len(errors):.4f} {max(errors):.4f}")
    assert sum(errors) / len(errors) <= 0.02


def _small(accesses: int, **more: object) -> dict[str, list[dict[str, object]]]:
    """Return the rows of a loop over a thousand pages, longer ago than the recording for some."""
    tables = recorded([0] * FIRST + [number % 1000 for number in range(accesses)])
    tables["cgroup_stat"][0]["file_cache_bytes"] = 500 * PAGE
    return {**tables, **more}


def test_the_model_is_corrected_by_what_was_measured_today(capture: Any) -> None:
    read = {"lookups": 20_000, "misses": 15_000, "added": 15_000, "pid": 4, "ts_ns": 10**9}
    sql = capture(assembled=False, **_small(20_000, page_cache=[read]))
    curve = miss_ratio_curve(sql, "/db")
    assert curve is not None
    # A loop misses everything where it does not fit, by the model; a quarter hit in truth.
    assert curve.predicted_today == pytest.approx(1, abs=0.05)
    assert curve.measured_today == 0.75
    assert curve.miss_ratio(500 * PAGE) == pytest.approx(0.75)
    low, high = curve.interval(500 * PAGE)
    assert low <= 0.75 <= high
    assert curve.miss_ratio(1200 * PAGE) < 0.1
    rows = run(sql, "missratio", {"cgroup": "/db"})
    found = {row[1]: dict(zip(rows.columns, row, strict=True)) for row in rows.rows}
    assert found["today"]["measured"] == 0.75
    for row in found.values():
        told = curve.tells(row["cache_bytes"])
        assert (row["miss_ratio"] is not None) == told
        if told:
            assert row["miss_ratio"] == pytest.approx(curve.miss_ratio(row["cache_bytes"]))
        assert (row["low"], row["high"]) == pytest.approx(curve.interval(row["cache_bytes"]))


def test_a_larger_cache_than_the_recording_can_tell_of_is_an_interval(capture: Any) -> None:
    curve = miss_ratio_curve(capture(assembled=False, **_small(20_000)), "/db")
    assert curve is not None
    beyond = curve.largest_bytes * 2
    assert not curve.tells(beyond)
    assert curve.interval(beyond)[0] == 0
    assert curve.miss_ratio(beyond) <= curve.interval(beyond)[1]


def test_what_could_not_be_followed_widens_the_interval(capture: Any) -> None:
    tables = _small(20_000)
    tables["page_access"][0] |= {"untracked": 100, "unwalked": 1800}
    curve = miss_ratio_curve(capture(assembled=False, **tables), "/db")
    assert curve is not None
    assert curve.unseen_share == (1800 + 100 * STRIDE) / 20_000
    low, high = curve.interval(1200 * PAGE)
    assert low <= 0.05
    assert curve.unseen_share <= high < curve.unseen_share + 0.1


@pytest.mark.parametrize("cgroup", ["/db", "/other", None])
def test_too_few_accesses_say_nothing(cgroup: str | None, capture: Any) -> None:
    assert miss_ratio_curve(capture(assembled=False, **_small(900)), cgroup) is None
