"""What-if's memory, segments sent again, machines and wrong options, on the shipped recording."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stackledger import resources
from stackledger.analysis import prediction
from stackledger.schema import TABLES

if TYPE_CHECKING:
    from pathlib import Path


def _add(folder: Path, **tables: list[dict[str, object]]) -> None:
    """Record more in a capture: the rows of some tables, 0 or empty where nothing is given."""
    nothing = {"string": "", "bool": False, "float64": 0.0, "binary": None}
    for name, rows in tables.items():
        columns = TABLES[name].columns
        kinds = pa.schema(
            [(one.name, getattr(pa, one.kind.replace("bool", "bool_"))()) for one in columns]
        )
        whole = [{c.name: row.get(c.name, nothing.get(c.kind, 0)) for c in columns} for row in rows]
        (folder / name).mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(whole, kinds), folder / name / "part-000001.parquet")


def _cached(folder: Path) -> None:
    """Record a page cache of 300,000 pages that half of what is asked for misses.

    By the distances' shares, of 600,000 pages on a fifth misses, from a million on
    nothing, and of more nothing is known: AET, worked out by hand.
    """
    second = {"ts_ns": _begin(folder) + 10**9, "interval_ns": 10**9}
    distances = {200_000: 1000, 1_000_000: 600, 3_000_000: 400}
    accesses = {"cgroup_id": 77, "events": 16_000, "lookups": 16_000, "max_stride": 1}
    _add(
        folder,
        page_access=[{**second, **accesses, "pid": 4, "max_clock": 16_000}],
        page_reuse=[
            {**second, "cgroup_id": group, "part": part, "distance": distance, "accesses": number}
            for group in (0, 77)
            for part in range(8)
            for distance, number in distances.items()
        ],
        page_cache=[{**second, "pid": 4, "lookups": 16_000, "misses": 8000, "added": 8000}],
        host_memory=[{**second, "cached_bytes": 300_000 * 4096}],
    )


def _begin(folder: Path) -> int:
    return json.loads((folder / "capture.json").read_text())["started_ns"]


def test_more_memory_turns_reads_into_hits(own):
    run, folder = own
    _cached(folder)
    words = ["--memory-gib", "9", "--memory-gib", "10", "--memory-gib", "12"]
    found = run("whatif", "demo", *words, "--instance", "r6i.large,memory=10", "--save", "more")
    assert (found.code, max(map(len, found.stdout.splitlines()))) == (0, 80)
    made = prediction.load(folder / "predictions" / "more.json")
    told = {one.name: one for one in made.options}
    assert "0% of its reads become hits (0%-0%), once warm" in told["9 GiB memory"].notes
    for name in ("10 GiB memory", "instance r6i.large,memory=10"):
        assert "60% of its reads become hits (60%-60%), once warm" in told[name].notes
        assert told[name].usd_per_ms_saved is not None
    # A million pages and what their bucket is wide; 300,000 and 4 GiB are 5.14 GiB.
    assert told["12 GiB memory"].refused == (
        "the capture tells of a cache of at most 3.83 GiB, this would be 5.14 GiB: capture longer"
    )
    # The disk is what holds its 8 callers back, at 60 I/Os per second: of those that stay,
    # as many as of today's.
    before, after = made.replayed, told["10 GiB memory"].after
    assert after is not None
    assert after.latency.mean.value < 0.75 * before.latency.mean.value
    # m6i.large, $70.08: of its hour 0.07665 of 0.10125 are CPUs, 0.003075 a GiB of memory.
    assert after.monthly_usd - before.monthly_usd == Decimal("4.26")
    bought = told["instance r6i.large,memory=10"].after
    assert bought.monthly_usd - before.monthly_usd == Decimal("21.90")
    assert after.latency == bought.latency


def test_a_cgroups_limit_that_holds_the_cache_back_has_to_grow(own):
    run, folder = own
    _cached(folder)
    group = {"cgroup": "/db", "memory_cgroup_id": 77, "file_cache_bytes": 300_000 * 4096}
    limit = {"memory_limit_bytes": 1 << 31, "memory_limit_hits": 9}
    _add(folder, cgroup_stat=[{"ts_ns": _begin(folder) + 10**9, **group, **limit}])
    run("whatif", "demo", "--memory-gib", "10", "--save", "more")
    (told,) = prediction.load(folder / "predictions" / "more.json").options
    assert (
        "the memory limit of cgroup /db is what holds the cache back: it has to grow by as much"
        in told.notes
    )


def test_memory_is_refused_where_accesses_were_not_recorded(own):
    run, folder = own
    found = run("whatif", "demo", "--memory-gib", "16", "--save", "more")
    assert found.code == 0
    assert found.stdout.startswith("No option could be foreseen: see why below.\n")
    (told,) = prediction.load(folder / "predictions" / "more.json").options
    assert told.refused == (
        "page_reuse and page_cache were not recorded:"
        " stackledger capture --probe page_reuse --probe page_cache"
    )


def _send_again(folder: Path) -> None:
    """Record that of a hundred segments five were sent again."""
    second = {"ts_ns": _begin(folder) + 10**9, "interval_ns": 10**9, "netns": 1, "protocol": "Tcp"}
    counts = {"OutSegs": 95, "RetransSegs": 5}
    _add(folder, host_protocol=[{**second, "name": k, "value": v} for k, v in counts.items()])


def test_what_is_sent_again_costs_whole_machines(own):
    run, folder = own
    _send_again(folder)
    found = run("whatif", "demo", "--no-retransmits", "--machines", "20", "--save", "tax")
    assert (found.code, max(map(len, found.stdout.splitlines())) <= 80) == (0, True)
    made = prediction.load(folder / "predictions" / "tax.json")
    (told,) = made.options
    assert told.notes[0].startswith(
        "5.00% of segments are sent again: 5.26% more machines than without, 70.08 of "
    )
    assert told.notes[1] == "19 machines would do the work of 20"
    prices = (made.before.monthly_usd, told.after.monthly_usd)
    assert prices == (20 * Decimal("110.08"), 19 * Decimal("110.08"))
    assert told.after.latency.mean.value == made.replayed.latency.mean.value


def test_every_option_is_for_all_machines(own):
    run, folder = own
    run("whatif", "demo", "--disk", "gp3,iops=6000", "--machines", "3", "--save", "three")
    made = prediction.load(folder / "predictions" / "three.json")
    assert made.options[0].after.monthly_usd - made.before.monthly_usd == 3 * Decimal(15)
    assert "prices are of 3 machines like this one, all changed" in made.notes


def test_segments_that_nobody_counted(own):
    run, folder = own
    run("whatif", "demo", "--no-retransmits", "--save", "tax")
    (told,) = prediction.load(folder / "predictions" / "tax.json").options
    assert told.refused == "no segments were counted: stackledger capture --probe tcp_connection"


def test_segments_by_connection_where_the_kernels_counters_are_missing(own):
    run, folder = own
    end = {"ts_ns": _begin(folder) + 10**9, "netns": 1, "family": 2, "segs_out": 200}
    _add(folder, tcp_connection=[{**end, "retransmits": 10, "ended": "reset_sent"}])
    run("whatif", "demo", "--no-retransmits", "--save", "tax")
    (told,) = prediction.load(folder / "predictions" / "tax.json").options
    assert told.notes[0].startswith("5.00% of segments are sent again: 5.26% more machines")


def _busy(folder: Path, *cpus: float) -> None:
    """Record how many CPUs were busy in each second."""
    begin = _begin(folder)
    rows = [
        {"ts_ns": begin + n * 10**9, "interval_ns": 10**9, "user_ns": round(one * 10**9)}
        for n, one in enumerate(cpus, 1)
    ]
    _add(folder, host_cpu=rows)


def test_fewer_machines_where_they_are_enough(own):
    run, folder = own
    _busy(folder, 0.2, 0.4, 1.0, 0.3)
    words = ["--nodes", "fewest", "--nodes", "3", "--machines", "5", "--slo", "p99 < 600ms"]
    found = run("whatif", "demo", *words, "--save", "few")
    # 5 x 1.0 x 1.3 / 2 = 3.25, and so three are refused.
    assert found.stdout.startswith("Take 4 nodes (5 today): p99 goes from 202 ms to ")
    assert "below 600 ms, for $110.08 less a month." in " ".join(found.stdout.splitlines())
    made = prediction.load(folder / "predictions" / "few.json")
    assert (made.reason, made.chosen) == ("cheapest", "4 nodes (5 today)")
    four = made.option("4 nodes (5 today)")
    assert four.after.monthly_usd == 4 * Decimal("110.08")
    # The disk is full: a quarter more callers wait a quarter longer for it.
    mean = made.replayed.latency.mean.value
    assert four.after.latency.mean.value == pytest.approx(1.25 * mean, rel=0.1)
    refused = "no: 4 of 5 needed: 1 of 2 CPUs each at p99 of 4 s, and 30% headroom"
    assert made.option("3 nodes (5 today)").refused == refused


def test_what_is_saved_is_said_where_nothing_gets_quicker(own):
    run, folder = own
    _busy(folder, 1.0)
    found = run("whatif", "demo", "--nodes", "3", "--headroom", "0", "--machines", "5")
    told = " ".join(found.stdout.splitlines())
    assert "But 3 nodes (5 today): $220.16 less a month, the mean goes from 90.1 ms to 1" in told


def test_no_machine_can_go(own):
    run, folder = own
    _busy(folder, 1.6)
    found = run("whatif", "demo", "--nodes", "fewest")
    assert " ".join(found.stdout.splitlines()).startswith(
        "No: 2 of 1 needed: 1.6 of 2 CPUs each at p99 of 1 s, and 30% headroom. "
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--disk", "gp33"], "no capacity price in the catalogue for sku: aws/us-east-1/gp33"),
        (["--disk", "gp3,iosp=3"], "--disk takes no such setting: iosp=3"),
        (["--instance", "m6i.larje,vcpu=2"], "no instance price in the catalogue for sku: "),
        (["--instance", "m6i.large,vcpu=x"], "--instance: not a number: vcpu=x"),
    ],
)
def test_wrong_words_are_refused_before_a_capture_is_looked_for(own, words, line):
    run, _ = own
    found = run("whatif", "no-such-capture", *words)
    assert (found.code, found.stdout) == (2, "")
    assert found.stderr.startswith(f"stackledger: error: {line}")


def test_a_volume_that_is_too_small_does_not_end_the_others(own, tmp_path):
    run, folder = own
    model = tmp_path / "small.toml"
    text = (resources.folder("costmodels") / "aws-us-east-1.toml").read_text()
    model.write_text(text.replace("size_gb = 500", "size_gb = 20"))
    words = ["--disk", "io1,iops=3000", "--disk", "tiers", "--model", str(model)]
    found = run("whatif", "demo", *words, "--save", "small")
    assert found.code == 0
    made = prediction.load(folder / "predictions" / "small.json")
    assert made.option("disk io1,iops=3000").refused == (
        "aws/us-east-1/io1 of 20 GB does at most 1000 IOPS: 3000"
    )
    assert made.option("disk io1,iops=1000").after is not None
