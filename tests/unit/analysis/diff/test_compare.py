"""The interval of a change holds what it says; limits are read as people write them."""

from __future__ import annotations

import math
import random

import pyarrow as pa
import pytest

from stackledger.analysis.diff import gate
from stackledger.analysis.diff.answer import Change, Difference, Side
from stackledger.analysis.diff.compare import BLOCKS, compare, widening
from stackledger.analysis.diff.sides import Sampled, parse
from stackledger.analysis.timerange import TimeRange
from stackledger.errors import NoSuchCaptureError, UsageError

SAMPLE = pa.schema(
    [
        *(("kind", pa.string()), ("subject", pa.string()), ("name", pa.string())),
        *(("unit", pa.string()), ("block", pa.int8()), ("amount", pa.float64())),
        ("base", pa.float64()),
    ]
)
WALL = pa.schema(
    [("subject", pa.string()), ("block", pa.int8()), ("bucket", pa.int16()), ("n", pa.int64())]
)
EXACT = pa.schema([("subject", pa.string()), ("name", pa.string()), ("value", pa.float64())])


def sampled(walls: list[list[float]], requests: int | None = None) -> Sampled:
    """Return a side whose root requests took `walls` ns, by block."""
    rows = [
        ("latency", None, "mean", "ns", block, sum(some), float(len(some)))
        for block, some in enumerate(walls)
    ]
    buckets: dict[tuple[int, int], int] = {}
    for block, some in enumerate(walls):
        for wall in some:
            key = block, round(math.log(wall) * 100)
            buckets[key] = buckets.get(key, 0) + 1
    ordered = sorted(wall for some in walls for wall in some)
    exact = [
        (None, name, ordered[math.ceil(share * len(ordered)) - 1])
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        if ordered
    ]
    count = len(ordered) if requests is None else requests
    side = Side("last", "id", "h", 1, ("request_ledger",), 0, 10**9, count, 0.0)
    return Sampled(
        side,
        _table(SAMPLE, rows),
        _table(WALL, [(None, *key, n) for key, n in buckets.items()]),
        _table(EXACT, exact),
        {"GET /": count} if count else {},
        ("GET /",),
    )


def _table(schema: pa.Schema, rows: list) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ([] for _ in schema)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema)


def drawn(chance: random.Random, mean_ns: float, blocks: int = BLOCKS) -> list[list[float]]:
    """Return exponential times in blocks that share a load of their own each."""
    found = []
    for _ in range(blocks):
        there = mean_ns * chance.uniform(0.8, 1.2)
        found.append([1 + chance.expovariate(1 / there) for _ in range(30)])
    return found


def of(difference: Difference, name: str) -> Change:
    found = difference.latency(name)
    assert found is not None
    return found


@pytest.mark.parametrize("blocks", [BLOCKS, 8])
def test_the_interval_of_no_change_holds_it_as_often_as_it_says(blocks: int) -> None:
    chance = random.Random(7)
    trials = 40
    missed = dict.fromkeys(("mean", "p50", "p95"), 0)
    for _ in range(trials):
        found = compare(
            sampled(drawn(chance, 1e7, blocks)), sampled(drawn(chance, 1e7, blocks)), None
        )
        for name in missed:
            missed[name] += of(found, name).verdict in ("more", "less")
    # One in twenty is what is promised; that eight of forty are wrong has a chance of 1 in 1000.
    assert all(count < 8 for count in missed.values()), missed


def test_a_change_is_found_with_its_size() -> None:
    chance = random.Random(3)
    found = compare(sampled(drawn(chance, 1e7)), sampled(drawn(chance, 2e7)), None)
    for name in ("mean", "p50", "p95", "p99"):
        one = of(found, name)
        assert one.verdict == "more", name
        assert None not in (one.low, one.high, one.change)
        assert 0 < one.low < one.change < one.high
    assert of(found, "mean").change == pytest.approx(1e7, rel=0.15)
    back = compare(sampled(drawn(chance, 2e7)), sampled(drawn(chance, 1e7)), None)
    assert of(back, "p99").verdict == "less"


def test_too_few_requests_tell_nothing_of_a_percentile() -> None:
    chance = random.Random(3)
    few = [[chance.expovariate(1e-7) + 1 for _ in range(4)] for _ in range(BLOCKS)]
    found = compare(sampled(few), sampled(few), None)
    assert [of(found, name).verdict for name in ("p50", "p95", "p99")] == ["noise", "noise", "few"]
    found = compare(sampled(few[:4]), sampled(few[:4]), None)
    assert of(found, "mean").verdict == "few"
    assert of(found, "mean").low is None


def test_what_one_side_lacks_is_new_or_gone() -> None:
    chance = random.Random(3)
    some, nothing = sampled(drawn(chance, 1e7)), sampled([])
    assert of(compare(nothing, some, None), "p99").verdict == "new"
    assert of(compare(some, nothing, None), "p99").verdict == "gone"
    with pytest.raises(NoSuchCaptureError, match="neither side"):
        compare(nothing, nothing, None)
    with pytest.raises(UsageError, match="no such endpoint on either side: GET /x"):
        compare(nothing, nothing, "GET /x")


@pytest.mark.parametrize(("blocks", "t"), [(5, 2.7764), (10, 2.2622), (30, 2.0452)])
def test_few_blocks_widen_the_interval_by_students_t(blocks: int, t: float) -> None:
    expected = t / 1.959964 * math.sqrt(blocks / (blocks - 1))
    assert widening(blocks) == pytest.approx(expected, rel=0.02)


def test_a_window_is_part_of_a_word() -> None:
    assert parse("last") == ("last", TimeRange())
    assert parse("last@+1s..+2s") == ("last", TimeRange("+1s", "+2s"))
    assert parse("x@..17:05") == ("x", TimeRange(None, "17:05"))
    assert parse("x@-3s..") == ("x", TimeRange("-3s", None))
    assert parse("/a@b/c") == ("/a@b/c", TimeRange())
    with pytest.raises(UsageError, match="not a window: last@\\+1s"):
        parse("last@+1s")


def change(verdict: str = "more", before: float = 100.0, after: float = 120.0) -> Difference:
    side = Side("last", "id", "h", 1, (), 0, 1, 1000, 0.0)
    one = Change("latency", None, "p99", "ns", before, after, 1.0, 30.0, verdict)
    errors = Change("latency", None, "errors", "share", 0.0, 0.02, 0.01, 0.03, "more")
    return Difference(side, side, None, (one, errors))


@pytest.mark.parametrize(
    ("word", "verdict", "failed"),
    [
        ("p99 +10%", "more", True),
        ("p99 +10%", "noise", False),
        ("p99 +10%", "few", True),
        ("p99 +20%", "more", False),
        ("p99+19ns", "more", True),
        ("p99 +21ns", "more", False),
        ("p99 -1%", "more", False),
        ("errors +1%", "more", True),
        ("errors +3%", "more", False),
    ],
)
def test_a_limit_fails_where_it_is_exceeded_and_not_by_chance(
    word: str, verdict: str, failed: bool
) -> None:
    (judged,) = gate.judge(gate.read(word), change(verdict))
    assert judged.failed == failed


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("p99", "not a limit: p99"),
        ("p99 > 10ms", "not a limit"),
        ("p98 +1%", "no such figure: p98"),
        ("rate +5ms", "rate is no time"),
        ("errors +1s", "errors is no time"),
        ("", "not a limit"),
    ],
)
def test_a_wrong_limit_is_refused(word: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        gate.read(word)


def test_a_limit_on_what_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to compare for the limit: cost"):
        gate.judge(gate.read("cost +1%"), change())
