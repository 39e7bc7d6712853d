"""`whatif` and `validate` on the shipped recording: answers, files, and wrong words."""

from __future__ import annotations

import csv
import io
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from stackledger.analysis import prediction

if TYPE_CHECKING:
    from pathlib import Path

ENDPOINT = "GET /api/orders/{id}"


def _second(folder: Path) -> Path:
    """Return a copy of a capture under another id."""
    other = folder.parent / "capture=later"
    shutil.copytree(folder, other, ignore=shutil.ignore_patterns("predictions"))
    told = json.loads((other / "capture.json").read_text())
    (other / "capture.json").write_text(json.dumps(told | {"id": "later", "name": "later"}))
    return other


def test_an_answer_fits_a_terminal_and_is_kept(own):
    run, folder = own
    words = [
        "--disk",
        "gp3,iops=6000",
        "--disk",
        "io2,iops=3000",
        "--cpus",
        "4",
        "--replica",
        "0.5",
    ]
    found = run("whatif", "demo", *words, "--slo", "p99 < 1ms", "--save", "first")
    assert found.code == 0
    lines = found.stdout.splitlines()
    assert lines[0].startswith("No option keeps p99 below 1.00 ms: the best,")
    assert max(map(len, lines)) <= 80
    for name in ("today", "disk gp3,iops=6000", "disk io2,iops=3000", "4 CPUs", "replica 0.5"):
        assert any(line.startswith(name) for line in lines), name
    assert "kept as first: stackledger validate first CAPTURE" in found.stderr
    made = prediction.load(folder / "predictions" / "first.json")
    assert [made.name, made.reason, made.chosen] == ["first", "none_holds", None]
    assert made.slo == prediction.Slo("p99", 1_000_000)
    assert len(made.options) == 4


def test_without_a_name_it_is_kept_by_its_time(own):
    run, folder = own
    assert run("whatif", "demo", "--cpus", "4").code == 0
    (made,) = prediction.load_all(folder)
    assert made.name.startswith("whatif-20")


@pytest.mark.parametrize("form", ["csv", "json"])
def test_rows_hold_every_figure_and_its_interval(own, form):
    run, _ = own
    found = run("whatif", "demo", "--disk", "gp3,iops=6000", "--format", form, "--save", "x")
    read = csv.DictReader(io.StringIO(found.stdout)) if form == "csv" else json.loads(found.stdout)
    rows = list(read)
    assert [row["option"] for row in rows] == ["today", "today", "disk gp3,iops=6000"]
    for row in rows:
        for figure in ("mean", "p50", "p95", "p99"):
            low, value, high = (int(row[f"{figure}{end}_ns"]) for end in ("_low", "", "_high"))
            assert 0 < low <= value <= high
    # 500 GB of gp3: $40.00, and 3000 IOPS above the included ones $15.00.
    prices = [float(row["monthly_usd"]) for row in rows]
    assert prices[2] - prices[1] == pytest.approx(15.0)


def test_one_endpoint_alone(own):
    run, folder = own
    found = run("whatif", "demo", "--cpus", "4", "--endpoint", ENDPOINT, "--save", "one")
    assert ENDPOINT in found.stdout
    assert prediction.load(folder / "predictions" / "one.json").endpoint == ENDPOINT


def test_a_load_of_one_and_a_half_is_foreseen_without_any_option(own):
    run, folder = own
    found = run("whatif", "demo", "--load", "1.5", "--save", "more")
    assert found.code == 0
    made = prediction.load(folder / "predictions" / "more.json")
    assert [one.name for one in made.options] == ["no change"]
    # Eight callers filled the disk already: twelve wait for it half as long again.
    after, today = made.options[0].after.latency.mean.value, made.replayed.latency.mean.value
    assert after == pytest.approx(1.5 * today, rel=0.1)


def test_tiers_of_the_provider_stand_side_by_side(own):
    run, _ = own
    found = run("whatif", "demo", "--disk", "tiers", "--save", "tiers")
    for sku in ("gp2", "gp3", "io1,iops=3000", "io2,iops=3000", "st1", "sc1"):
        assert f"disk {sku}" in found.stdout


def test_what_can_not_be_written_is_said_and_the_answer_printed(own):
    run, folder = own
    (folder / "predictions").write_text("")
    found = run("whatif", "demo", "--cpus", "4")
    assert found.code == 0
    assert "CPUs" in found.stdout
    assert "stackledger: warning: cannot store the prediction" in found.stderr


def test_a_prediction_is_compared_with_a_later_capture(own):
    run, folder = own
    run("whatif", "demo", "--cpus", "2", "--save", "same")
    _second(folder)
    found = run("validate", "same", "later", "--option", "1")
    assert (found.code, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert lines[0].startswith("2 CPUs came true: mean ")
    assert max(map(len, lines)) <= 80
    rows = list(
        csv.DictReader(
            io.StringIO(
                run("validate", "same", "later", "--option", "2 CPUs", "--format", "csv").stdout
            )
        )
    )
    assert [row["figure"] for row in rows] == ["mean", "p50", "p95", "p99", "rate"]
    assert all(row["before"] == row["measured"] for row in rows)


def test_wrong_predictions_and_captures(own, failed):
    run, folder = own
    run("whatif", "demo", "--cpus", "2", "--disk", "sc1", "--save", "same")
    made = str(folder / "predictions" / "same.json")
    failed(run("validate", "sam", "demo"), 4, "no such prediction: sam", "did you mean same?")
    failed(run("validate", "./no.json", "demo"), 4, "no such prediction: no.json")
    names = [one.name for one in prediction.load(folder / "predictions" / "same.json").options]
    assert sorted(names) == ["2 CPUs", "disk sc1"]
    failed(
        run("validate", made, "demo", "--option", "9"),
        2,
        "no such option in the prediction: 9",
        f"there are: {'; '.join(names)}",
    )
    manifest = json.loads((folder / "capture.json").read_text())
    failed(
        run("validate", "same", "demo", "--option", "1"),
        2,
        f"the prediction was made from this very capture: {manifest['id']}",
        "capture again after the change, under the same load",
    )
    (folder / "predictions" / "same.json").write_text("{")
    found = run("validate", made, "demo")
    assert (found.code, found.stdout) == (1, "")
    assert found.stderr.startswith("stackledger: error: broken prediction: ")


@pytest.mark.parametrize(
    ("words", "code", "line", "hint"),
    [
        ([], 2, "nothing to compare", "--disk SKU,iops=N, --disk tiers, --cpus N, …"),
        (
            ["--cpus", "4", "--load", "2.5"],
            2,
            "no prediction beyond twice the measured load: 2.5",
            "what holds a system back there was not seen: capture it under more load",
        ),
        (["--cpus", "4", "--load", "0"], 2, "--load is a factor above 0: 0", None),
        (["--cpus", "4", "--load", "nan"], 2, "--load is a factor above 0: nan", None),
        (["--memory-gib", "0"], 2, "--memory-gib is a size in GiB above 0: 0", None),
        (["--memory-gib", "nan"], 2, "--memory-gib is a size in GiB above 0: nan", None),
        (["--machines", "0"], 2, "--machines is how many there are today, 1 or more: 0", None),
        (["--nodes", "0"], 2, "--nodes is a number of machines, 1 or more, or fewest: 0", None),
        (["--nodes", "few"], 2, "--nodes is a number of machines, 1 or more, or fewest: few", None),
        (
            ["--nodes", "1", "--headroom", "-1"],
            2,
            "--headroom is a share from 0 to 10: -1",
            None,
        ),
        (["--cpus", "0"], 2, "--cpus is a number of CPUs, 1 or more: 0", None),
        (
            ["--replica", "1.5"],
            2,
            "--replica is a share of the reads, above 0 and at most 1: 1.5",
            None,
        ),
        (
            ["--disk", "gp3,iosp=3"],
            2,
            "--disk takes no such setting: iosp=3",
            "--disk SKU,iops=N,mbps=N,size=N",
        ),
        (
            ["--disk", "gp3,iops=many"],
            2,
            "--disk: not a number: iops=many",
            "--disk SKU,iops=N,mbps=N,size=N",
        ),
        (
            ["--disk", "iops=3000"],
            2,
            "--disk without a sku: iops=3000",
            "--disk SKU,iops=N,mbps=N,size=N",
        ),
        (
            ["--disk", "gp33"],
            2,
            "no capacity price in the catalogue for sku: aws/us-east-1/gp33",
            "did you mean aws/us-east-1/gp3?",
        ),
        (
            ["--instance", "m6i.larje"],
            2,
            "how many CPUs, and how fast, does it have?: m6i.larje",
            "--instance aws/us-east-1/m6i.larje,vcpu=4",
        ),
        (
            ["--cpus", "4", "--slo", "p98 < 2ms"],
            2,
            "not an objective: p98 < 2ms",
            "--slo 'p99 < 200ms'; one of mean, p50, p95, p99; ns, us, ms or s",
        ),
        (
            ["--cpus", "4", "--save", "../x"],
            2,
            "not a name for a prediction: ../x",
            "letters, digits and . _ + -, at most 80",
        ),
        (
            ["--cpus", "4", "--endpoint", "GET /api/ordres/{id}"],
            4,
            "no complete request of this endpoint: GET /api/ordres/{id}",
            "did you mean GET /api/orders/{id}?",
        ),
    ],
)
def test_wrong_words_are_refused_and_nothing_is_kept(own, failed, words, code, line, hint):
    run, folder = own
    failed(run("whatif", "demo", *words), code, line, hint)
    assert not (folder / "predictions").exists()


def test_an_io2_without_iops_is_refused_with_the_reason_beside_the_others(own):
    run, folder = own
    found = run("whatif", "demo", "--disk", "io2", "--disk", "gp3,iops=6000", "--save", "x")
    assert found.code == 0
    refused = [
        one.name
        for one in prediction.load(folder / "predictions" / "x.json").options
        if one.refused
    ]
    assert refused == ["disk io2"]
    assert "refused: disk io2: what it does a second is not known" in found.stdout
