"""Wrong words and wrong files of one's own: one clear line, the remedy, the exit code."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("words", "code", "line", "hint"),
    [
        (["attribute", "demmo"], 4, "no such capture: demmo", "did you mean demo?"),
        (["show", "/tmp"], 4, "not a capture: it has no capture.json: /tmp", None),
        (["show", "./no/such"], 4, "not a capture: it has no capture.json: ./no/such", None),
        (["query", "ledger", "lsat"], 4, "no such capture: lsat", "did you mean last?"),
        (["sql", "demmo", "SELECT 1"], 4, "no such capture: demmo", "did you mean demo?"),
        (["query", "ledgre"], 2, "no such query: ledgre", "did you mean ledger?"),
        (["query", "ledgre", "--explain"], 2, "no such query: ledgre", "did you mean ledger?"),
        (["query", "xyzzy"], 2, "no such query: xyzzy", "stackledger query lists them"),
        (
            ["query", "slowest", "--param", "cuont=1"],
            2,
            "slowest has no parameter: cuont",
            "did you mean count?",
        ),
        (
            ["query", "edges", "--param", "zz=1"],
            2,
            "edges has no parameter: zz",
            "it takes: none",
        ),
        (
            ["query", "slowest", "--param", "count"],
            2,
            "a parameter is written name=value: count",
            None,
        ),
        *(
            (
                ["query", "slowest", "--param", f"count={word}"],
                2,
                f"slowest: count is not a whole number, 0 or more: {word}",
                "how many",
            )
            for word in ("many", "-1", "1.5", "9223372036854775808", "")
        ),
        (
            ["query", "attribution", "--param", "percentile=nan"],
            2,
            "attribution: percentile is not a number: nan",
            "centre of the band",
        ),
        *(
            (["attribute", "--percentile", word], 2, f"percentile is not {between}: {shown}", None)
            for between in ("between 0 and 100",)
            for word, shown in (("0", "0"), ("100", "100"), ("-1", "-1"), ("nan", "nan"))
        ),
        (["report", "--percentile", "101"], 2, "percentile is not between 0 and 100: 101", None),
        (
            ["cost", "--model", "aws-us-east"],
            2,
            "no such cost model: aws-us-east",
            "did you mean aws-us-east-1?",
        ),
        (
            ["cost", "--model", "/nonexistent.toml"],
            2,
            "no such cost model: /nonexistent.toml",
            "give a file or one of: aws-us-east-1, azure-eastus, gcp-us-central1",
        ),
        (["cost", "--model", "/"], 2, "the cost model is not a file: /", None),
        (
            ["report", "-o", "/"],
            2,
            "not a file but a folder: /",
            "-o /report.html",
        ),
        (
            ["report", "-o", "/nonexistent/page.html"],
            2,
            "no such folder: /nonexistent",
            "mkdir -p /nonexistent",
        ),
        (
            ["demo", "-o", "/nonexistent/page.html"],
            2,
            "no such folder: /nonexistent",
            "mkdir -p /nonexistent",
        ),
        (
            ["attribute", "--layers", "/nonexistent.csv"],
            2,
            "cannot read the layer rules: /nonexistent.csv: No such file or directory",
            None,
        ),
        (
            ["captures", "--limit", "0"],
            2,
            "wrong value for --limit: '0', input should be greater than or equal to 1",
            "stackledger captures --help shows what it takes",
        ),
    ],
)
def test_wrong_words(words, code, line, hint, ask, failed):
    failed(ask(*words), code, line, hint)


def test_an_unknown_endpoint(ask, failed):
    outcome = ask("attribute", "--endpoint", "GET /api/order/{id}")
    failed(
        outcome, 2, "no such endpoint: GET /api/order/{id}", "did you mean GET /api/orders/{id}?"
    )
    outcome = ask("report", "--endpoint", "zz", "-o", "-")
    assert outcome.stderr.splitlines()[1].startswith("hint: seen: GET /api/orders/{id}, ")
    assert (outcome.code, outcome.stdout) == (2, "")


MODEL = """schema = "cost-model/1"

[[node]]
match = {host = "*"}
vcpu = 2
memory_gib = 8
"""


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("monthly_overide = 70\n", "7: node[0].monthly_overide: unknown field", "monthly_override"),
        (
            "monthly_override = -70\n",
            "7: node[0].monthly_override: must be 0 or more, not -70",
            None,
        ),
        ('monthly_override = "much"\n', "7: node[0].monthly_override: expected a number", None),
        ("[policy]\nidle = 'evn'\n", "8: policy.idle: unknown value 'evn'", "accepted: none, even"),
        ("monthly_override = \n", "7", None),
    ],
)
def test_a_wrong_cost_model(text, place, hint, ask, tmp_path):
    path = tmp_path / "model.toml"
    path.write_text(MODEL + text)
    outcome = ask("cost", "--model", str(path))
    assert (outcome.code, outcome.stdout) == (2, "")
    lines = outcome.stderr.splitlines()
    assert lines[0].startswith("stackledger: error: ")
    assert str(path) in lines[0]
    assert place in lines[0]
    assert len(lines) <= 2
    assert hint is None or hint in lines[1]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "layer rules begin with the line field,pattern,layer: {path}:1: "),
        ("a,b\n", "layer rules begin with the line field,pattern,layer: {path}:1: a,b"),
        (
            "field,pattern,layer\nservice,x\n",
            "a layer rule is field,pattern,layer: {path}:2: service,x",
        ),
        (
            "field,pattern,layer\nservice,,x\n",
            "a layer rule is field,pattern,layer: {path}:2: service,,x",
        ),
        (
            "field,pattern,layer\nservcie,x,y\n",
            "layer rule with an unknown field: {path}:2: servcie",
        ),
        ('field,pattern,layer\n"x\n', "layer rules are not CSV in UTF-8: {path}: "),
        ("field,pattern,layer\nservice,\xff,y\n", "layer rules are not CSV in UTF-8: {path}: "),
    ],
)
def test_broken_layer_rules(content, line, ask, tmp_path):
    path = tmp_path / "layers.csv"
    path.write_text(content, encoding="latin-1")
    outcome = ask("attribute", "--layers", str(path))
    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith(f"stackledger: error: {line.format(path=path)}")
    assert outcome.stderr.count("\n") <= 2


CAPTURE_HELP = "stackledger capture --help shows what it takes"


@pytest.mark.parametrize(
    ("words", "line", "hint"),
    [
        *(
            (["--for", word], f"not a time: {word}", "it is written like 30s, 500ms, 2m or 1h")
            for word in ("soon", "0s", "-1", "1d", "", "1e3s", "inf")
        ),
        (["--keep", "1d"], "not a time: 1d", "it is written like 30s, 500ms, 2m or 1h"),
        (["--keep", "9s"], "--keep is too short: 9s", "10s or longer"),
        *(
            (["--max-size", word], f"not a size: {word}", "it is written like 10GB, 500MB or 2GiB")
            for word in ("big", "10", "0GB", "-1GB", "10gb", "", "1e9B")
        ),
        (["--max-size", "9MB"], "--max-size is too small: 9MB", "10MB or more"),
        (["--attach-limit", "x"], "not a time: x", "it is written like 30s, 500ms, 2m or 1h"),
        (
            ["--pid", "nginx"],
            (
                "wrong value for --pid: 'nginx', input should be a valid integer,"
                " unable to parse string as an integer"
            ),
            CAPTURE_HELP,
        ),
        (["--pid", "0"], "pid is not an integer from 1 to 4194304: 0", None),
        (["--pid", "-3"], "pid is not an integer from 1 to 4194304: -3", None),
        (
            ["--comm", "a-name-of-17-byte"],
            "the kernel keeps 15 bytes of a process name: a-name-of-17-byte",
            "--comm 'a-name-of-17-by'",
        ),
        (["--comm", ""], "a process name has 1 to 15 bytes: ", None),
        (["--cgroup", "/nonexistent"], "not a cgroup (v2): /nonexistent", None),
        (
            ["--name", "two words"],
            "a name has up to 64 letters, digits and . _ - @ : +: two words",
            None,
        ),
        (
            ["--name", "../up"],
            "a name has up to 64 letters, digits and . _ - @ : +: ../up",
            None,
        ),
        (
            ["--name", "last"],
            "a capture cannot be called that, it means something else: last",
            None,
        ),
        (["--profile", "ledgr"], "no such profile: ledgr", "did you mean ledger?"),
        (["--profile", "none"], "nothing to record: --profile none", "--probe NAME adds one"),
        (
            ["--probe", "reqest_ledger"],
            "no such probe: reqest_ledger",
            "did you mean request_ledger?",
        ),
        (
            ["--max-loss", "2"],
            "wrong value for --max-loss: '2', input should be less than or equal to 1",
            CAPTURE_HELP,
        ),
        (["--", "no-such-command-1"], "no such command: no-such-command-1", None),
        (["--", "/"], "no such command: /", None),
        (["--froo"], "unknown option: --froo", "did you mean --for?"),
    ],
)
def test_wrong_words_for_capture_need_no_root_to_be_refused(
    words, line, hint, run, tmp_path, failed
):
    failed(run("capture", "--store", str(tmp_path / "store"), *words), 2, line, hint)
    assert list(tmp_path.iterdir()) == []
