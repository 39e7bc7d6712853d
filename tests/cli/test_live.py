"""`stackledger live` where nothing is traced: what it lists and what it refuses."""

from __future__ import annotations

import csv
import io

import pytest

from stackledger import catalog
from stackledger.analysis import now
from stackledger.report.livetable import LiveTable


def test_it_lists_what_happens_live(run):
    outcome = run("live", "--format", "csv")
    assert outcome.code == 0
    listed = {row["query"] for row in csv.DictReader(io.StringIO(outcome.stdout))}
    assert {"biosnoop", "biotop", "biolatency", "tcplife"} <= listed
    assert not listed & {"ledger", "requests", "losses", "slowest"}


def test_every_probe_that_a_query_needs_is_there():
    known = {probe.name for probe in catalog.probes().values()}
    for query in now.live_queries():
        assert set(now.probes_of(query.name, {})) <= known
    assert now.probes_of("biosnoop", {}) == ("block_io",)


@pytest.mark.parametrize(
    ("words", "line", "hint"),
    [
        (["bisnoop"], "no such query: bisnoop", "did you mean biosnoop?"),
        (["losses"], "nothing of it happens live: losses", "stackledger live lists what does"),
        (
            ["ledger"],
            "a request is known when all of its calls are: it cannot be watched live: ledger",
            "stackledger capture --for 10s, then stackledger query",
        ),
        (["biosnoop", "--param", "pidd=3"], "biosnoop has no parameter: pidd", "did you mean pid?"),
        (["biosnoop", "--param", "pid"], "a parameter is written name=value: pid", None),
        (["biosnoop", "--for", "soon"], "not a time: soon", None),
        (
            ["biosnoop", "--format", "parquet"],
            "what has no end cannot be printed as: parquet",
            "--format jsonl",
        ),
    ],
)
def test_what_it_refuses(run, words, line, hint):
    outcome = run("live", *words)
    assert (outcome.code, outcome.stdout) == (2, "")
    told = outcome.stderr.splitlines()
    assert told[0] == f"stackledger: error: {line}"
    assert hint is None or told[1] == f"hint: {hint}"


COLUMNS = ["ts_ns", "comm", "pid", "disk", "t", "sector", "bytes", "queue_ns", "device_ns", "error"]
ROW = (1_767_323_045_123_456_789, "x" * 40, 4194303, "nvme0n1", "W", 171986760, 4096, 12, 10**9, 0)


def lines(capsys, *batches, columns=COLUMNS, **given):
    table = LiveTable("table", **given)
    for batch in batches:
        table.write(columns, batch, 1_767_323_046 * 10**9)
    return capsys.readouterr().out.splitlines()


def test_events_have_one_heading_and_columns_that_stay(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    short = (*ROW[:1], "dd", 7, *ROW[3:])
    told = lines(capsys, [ROW], [], [short, short])
    assert len(told) == 4
    assert max(map(len, told)) <= 80
    assert " ".join(told[0].split()) == "ts_ns comm pid disk t sector bytes queue device error"
    assert told[1].startswith("03:04:05.123 x")
    assert "…" in told[1]
    assert len({line.index("nvme0n1") for line in told[1:]}) == 1
    assert len({len(line) for line in told[1:]}) == 1


def test_a_number_is_never_cut(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    told = lines(capsys, [ROW])
    assert "171986760" in told[1]
    assert "4194303" in told[1]


def test_a_state_has_its_time_and_at_most_its_limit(capsys):
    rows = [(pid, "x", 1) for pid in range(7)]
    told = lines(capsys, rows, rows, columns=["pid", "comm", "ios"], limit=3)
    assert told[0] == told[6] == "03:04:06"
    assert told[5] == ""
    assert [line.split() for line in told[1:5]] == [
        ["pid", "comm", "ios"],
        *([str(pid), "x", "1"] for pid in range(3)),
    ]


def test_hostile_names_stay_on_their_line(capsys):
    told = lines(capsys, [(*ROW[:1], "a\x1b[2J\nb", *ROW[2:])])
    assert len(told) == 2
    assert "\x1b" not in told[1]


def test_a_path_keeps_its_end_and_empty_columns_give_way_in_a_state(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    columns = ["path", "reads", "a_column_without_any_value", "writes"]
    rows = [("/usr/share/locale/locale.alias/and/so/on/name.txt", 7, 0, 1)]
    _, head, line = lines(capsys, rows, columns=columns)
    assert head.split() == ["path", "reads", "writes"]
    assert line.startswith("…")
    assert "/name.txt " in line
    assert len(line) <= 40
