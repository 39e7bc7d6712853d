"""`diff` on the shipped recording: the same, its two halves, a gate, and wrong words."""

from __future__ import annotations

import json
import shutil

import pytest


def test_a_capture_and_itself_do_not_differ(ask):
    found = ask("diff", "demo", "last", "--format", "json")
    assert found.code == 0
    rows = json.loads(found.stdout)
    kinds = {row["kind"] for row in rows}
    assert {"latency", "endpoint", "ledger", "cpu", "disk"} <= kinds
    assert all(row["before"] == row["after"] for row in rows)
    assert {row["verdict"] for row in rows} <= {"noise", "few", "stays"}
    assert [row["name"] for row in rows if row["kind"] == "verdict"] == ["disk_limit"]


def test_its_two_halves_fit_a_terminal_and_sum(ask):
    found = ask("diff", "demo@..+4s", "demo@+4s..", "--model", "aws-us-east-1")
    assert found.code == 0
    lines = found.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("before demo@..+4s · ")
    assert any(line.startswith("stays  postgres waits for vda") for line in lines)
    for title in ("latency ", "ledger, per", "endpoints", "cost per million", "host"):
        assert any(line.startswith(title) for line in lines), title
    rows = json.loads(ask("diff", "demo@..+4s", "demo@+4s..", "--format", "json").stdout)
    for side in ("before", "after"):
        (mean,) = (r[side] for r in rows if (r["kind"], r["name"]) == ("latency", "mean"))
        parts = sum(r[side] or 0 for r in rows if r["kind"] == "ledger")
        assert parts == pytest.approx(mean, rel=1e-3)


def test_one_endpoint_and_its_gate(ask):
    words = ("diff", "demo", "demo", "--endpoint", "GET /api/orders/{id}")
    passed = ask(*words, "--fail-if", "p99 +10%", "--fail-if", "errors +1%")
    assert passed.code == 0
    assert "\nonly   GET /api/orders/{id}\n" in passed.stdout
    # A diagnosis is of all endpoints: beside one it would tell of another's trouble.
    assert "verdicts" not in passed.stdout
    assert "p99 +10%: passed, p99 stayed" in passed.stderr


def test_a_gate_fails_where_a_change_is_too_large(own):
    run, folder = own
    other = folder.parent / "capture=later"
    shutil.copytree(folder, other)
    told = json.loads((other / "capture.json").read_text())
    (other / "capture.json").write_text(json.dumps(told | {"id": "later", "name": "later"}))
    words = ("diff", "later", "demo", "--fail-if", "mean +0ms", "--fail-if", "rate -5%")
    assert run(*words).code == 0
    shutil.rmtree(other / "call")
    failed = run("diff", "demo", "later", "--fail-if", "rate +5%", "--fail-if", "p99 +900%")
    assert failed.code == 1
    assert "stackledger: error: limit exceeded: rate +5%: rate rose from" in failed.stderr
    assert "p99 +900%: passed" in failed.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("demo",), 2, "missing argument"),
        (("demo", "demoo"), 4, "no such capture: demoo"),
        (("demo", "demo@+1s"), 2, "not a window: demo@+1s"),
        (("demo", "demo@+9000s.."), 4, "the capture holds nothing of that time"),
        (("demo", "demo@+2s..+1s"), 2, "the time range ends before it begins"),
        (("demo", "demo", "--endpoint", "GET /api/order"), 2, "no such endpoint on either side"),
        (("demo", "demo", "--fail-if", "p99"), 2, "not a limit: p99"),
        (("demo", "demo", "--fail-if", "cost +1%"), 2, "nothing to compare for the limit"),
        (("demo", "demo", "--model", "nope"), 2, "no such cost model: nope"),
    ],
)
def test_wrong_words(ask, words, code, said):
    found = ask("diff", *words)
    assert (found.code, found.stdout) == (code, "")
    assert found.stderr.lower().startswith(f"stackledger: error: {said.lower()}")
    assert len(found.stderr.splitlines()) <= 2
