"""A part of the replayed recording, by every command that takes one."""

from __future__ import annotations

import csv
import io
import json

import pytest

COUNT = "SELECT count(*) AS n, sum(wall_ns)::BIGINT AS wall_ns FROM requests"


def rows_of(outcome):
    assert outcome.code == 0, outcome.stderr
    return list(csv.DictReader(io.StringIO(outcome.stdout)))


@pytest.mark.parametrize("instant", ["+3s", "-5s", "+3.14s"])
def test_the_two_sides_of_an_instant_sum_to_the_capture(ask, instant):
    for statement in (COUNT, "SELECT count(*) AS n, sum(bytes) AS b FROM block_io"):
        (whole,) = rows_of(ask("sql", statement))
        (before,) = rows_of(ask("sql", statement, "--until", instant))
        (after,) = rows_of(ask("sql", statement, "--from", instant))
        assert int(before["n"]) > 0 < int(after["n"])
        for name, value in whole.items():
            assert int(before[name]) + int(after[name]) == int(value)


def test_a_query_over_its_last_second_has_just_that(ask):
    every = rows_of(ask("query", "biosnoop"))
    (span,) = rows_of(ask("sql", "SELECT ended_ts_ns FROM capture"))
    end = int(span["ended_ts_ns"])
    wanted = [row for row in every if end - 10**9 <= int(row["ts_ns"])]
    assert rows_of(ask("query", "biosnoop", "--last", "1s")) == wanted != []
    assert rows_of(ask("query", "biosnoop", "--from", str(end - 10**9))) == wanted


def test_processes_of_a_layer(ask):
    pids = "SELECT pid FROM process_layer WHERE layer = 'database'"
    every = rows_of(ask("sql", f"SELECT b.* FROM block_io AS b SEMI JOIN ({pids}) USING (pid)"))
    chosen = rows_of(ask("sql", "FROM block_io", "--layer", "database"))
    assert sorted(row["ts_ns"] for row in chosen) == sorted(row["ts_ns"] for row in every) != []
    pid = chosen[0]["pid"]
    assert {row["pid"] for row in rows_of(ask("query", "biosnoop", "--pid", pid))} == {pid}
    named = rows_of(ask("query", "biosnoop", "--comm", "postgres"))
    assert {row["comm"] for row in named} == {"postgres"}


def test_layers_are_those_of_the_requests(ask):
    statement = (
        "SELECT DISTINCT r.layer AS one, p.layer AS other FROM requests AS r"
        " JOIN process_layer AS p USING (pid)"
    )
    found = rows_of(ask("sql", statement))
    assert {row["one"] for row in found} == {"gateway", "sidecar", "app", "database"}
    assert all(row["one"] == row["other"] for row in found)


def test_attribute_cost_and_report_take_a_range(ask, tmp_path):
    whole, half = (
        json.loads(ask("attribute", *part, "--format", "json").stdout)
        for part in ([], ["--until", "+4s"])
    )
    assert whole != half
    for command in (["attribute"], ["cost"]):
        outcome = ask(*command, "--from", "+2s", "--until", "+4s")
        assert (outcome.code, outcome.stderr) == (0, "")
    bill = json.loads(ask("cost", "--format", "json", "--last", "2s").stdout)
    every = json.loads(ask("cost", "--format", "json").stdout)
    # The machine's price is by time alone.
    total, part = (sum(float(row["cost_usd"]) for row in rows) for rows in (every, bill))
    (span,) = rows_of(ask("sql", "SELECT s.dur_ns FROM span AS s, (SELECT count(*) FROM request)"))
    assert part / total == pytest.approx(2e9 / int(span["dur_ns"]), rel=0.05)
    page = tmp_path / "page.html"
    assert ask("report", "-o", str(page), "--last", "2s").code == 0
    assert "2.00 s" in page.read_text()


@pytest.mark.parametrize(
    ("words", "code", "line", "hint"),
    [
        (
            ["losses", "--last", "1s"],
            2,
            "it cannot be narrowed to a time range",
            "what it reads is known for the whole capture only",
        ),
        (
            ["biosnoop", "--layer", "databse"],
            4,
            "the capture has no such layer: databse",
            "database",
        ),
        (
            ["biosnoop", "--comm", "postgrse"],
            4,
            "the capture knows no process or thread",
            "postgres",
        ),
        (["biosnoop", "--container", "nope"], 4, "the capture knows no process of that", "cgroup"),
        (
            ["biosnoop", "--from", "2001-01-01", "--until", "2002-01-01"],
            4,
            "the capture holds",
            "UTC",
        ),
        (["biosnoop", "--from", "tomorrow"], 2, "not an instant: tomorrow", "+10s"),
        (["biosnoop", "--last", "1s", "--from", "+1s"], 2, "--from and --last both", None),
        (["biosnoop", "--pid", "x"], 2, "wrong value for --pid", "--help"),
    ],
)
def test_what_cannot_be_chosen(ask, words, code, line, hint):
    outcome = ask("query", *words)
    assert (outcome.code, outcome.stdout) == (code, "")
    told = outcome.stderr.splitlines()
    assert told[0].startswith(f"stackledger: error: {line}")
    assert hint is None or hint in told[1]


def test_nothing_in_a_part_says_so(ask):
    outcome = ask("query", "biosnoop", "--pid", "4194303")
    assert outcome.code == 0
    assert outcome.stdout.count("\n") == 1
    assert outcome.stderr == "no rows: nothing in that part of the capture\n"


def test_what_has_no_process_is_told(ask):
    statement = "SELECT count(*) FROM block_io, host_cpu"
    outcome = ask("sql", statement, "--comm", "postgres")
    assert (outcome.code, outcome.stderr) == (0, "not narrowed to processes: host_cpu\n")
    outcome = ask("sql", "SELECT count(*) FROM host_cpu", "--comm", "postgres")
    assert outcome.code == 2
