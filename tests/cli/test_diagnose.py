"""`stackledger diagnose` over the replayed recording, and over captures that lack something."""

from __future__ import annotations

import json
import shutil

import msgspec
import pytest

from stackledger.analysis.diagnosis import Diagnosis


def test_the_answer_comes_first_and_fits_a_terminal(ask):
    outcome = ask("diagnose")
    assert (outcome.code, outcome.stderr) == (0, "")
    lines = outcome.stdout.splitlines()
    assert lines[0].startswith("postgres waits for ")
    assert lines[0].endswith("of the requests' time.")
    assert max(map(len, lines)) <= 80
    assert any("looks fine" in line for line in lines)
    assert any(line.startswith("1. CRITICAL: ") for line in lines)
    assert lines[-1].endswith(".")
    assert len(ask("diagnose", "--all").stdout.splitlines()) > len(lines)


def test_the_report_says_the_same(ask, tmp_path):
    answer = ask("diagnose").stdout.splitlines()[0]
    page = tmp_path / "page.html"
    assert ask("report", "--model", "none", "-o", str(page)).code == 0
    shown = page.read_text(encoding="utf-8").replace("&#39;", "'")
    assert answer.removesuffix(".") in " ".join(shown.split())


def test_json_is_a_diagnosis_and_agrees_with_the_ledger(ask):
    outcome = ask("diagnose", "--format", "json")
    found = msgspec.json.decode(outcome.stdout, type=Diagnosis)
    assert json.loads(outcome.stdout)["schema"] == "diagnosis/1"
    top = found.top
    assert top is not None
    assert (top.layer, top.service, top.resource) == ("database", "postgres", "disk")
    query = "SELECT count(*) AS n, sum(wall_ns)::BIGINT AS ns FROM roots WHERE complete"
    (row,) = json.loads(ask("sql", query, "--format", "json").stdout)
    assert (found.transactions, found.wall_ns) == (row["n"], row["ns"])
    assert sum(one.explained_ns for one in found.ledger) == pytest.approx(found.wall_ns, rel=1e-6)


def test_a_part_of_a_capture(ask):
    whole, part = (
        msgspec.json.decode(ask("diagnose", *words, "--format", "json").stdout, type=Diagnosis)
        for words in ([], ["--last", "1s"])
    )
    assert 0 < part.transactions < whole.transactions
    assert part.until_ts_ns - part.from_ts_ns == 10**9
    assert "recorded only" in [one.name for one in part.verdicts[0].confidence.reasons]


def test_a_capture_without_requests_is_about_the_host_alone(own):
    run, folder = own
    for name in ("request", "call", "connection"):
        shutil.rmtree(folder / name)
    outcome = run("diagnose")
    assert outcome.code == 0
    assert outcome.stdout.startswith("No requests were recorded, and nothing else is wrong")
    assert "no requests: what follows is about the host alone" in " ".join(outcome.stdout.split())


@pytest.mark.parametrize("layer", ["nginx", "postgres"])
def test_a_capture_of_one_layer_alone(own, layer):
    import duckdb

    run, folder = own
    keep = folder / "request" / "kept.parquet"
    with duckdb.connect() as connection:
        parts = [str(folder / name / "*.parquet") for name in ("request", "process")]
        connection.execute(
            "COPY (SELECT * FROM read_parquet($1) WHERE pid IN"
            " (SELECT pid FROM read_parquet($2) WHERE comm = $3)) TO $4",
            [*parts, layer, str(keep)],
        )
    for part in (folder / "request").glob("part-*.parquet"):
        part.unlink()
    keep.rename(folder / "request" / "part-000001.parquet")
    found = msgspec.json.decode(run("diagnose", "--format", "json").stdout, type=Diagnosis)
    assert found.transactions > 0
    assert found.top is not None
    assert sum(one.explained_ns for one in found.ledger) == pytest.approx(found.wall_ns, rel=1e-6)


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["demmo"], 4, "stackledger: error: no such capture: demmo"),
        (["--format", "csv"], 2, "stackledger: error: "),
        (["--from", "+1h"], 4, "stackledger: error: "),
    ],
)
def test_bad_input_is_one_line(ask, words, code, line):
    outcome = ask("diagnose", *words)
    assert (outcome.code, outcome.stdout) == (code, "")
    assert outcome.stderr.startswith(line)
    assert len(outcome.stderr.splitlines()) <= 2
