"""Cost models on the command line: a first one, its check, its schema."""

from __future__ import annotations

import json

import pytest

from stackledger import resources
from stackledger.analysis.costmodel import load_model


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("provider", ["aws", "gcp", "azure", "onprem"])
def test_a_first_model_prices_the_capture_it_came_from(ask, here, provider):
    written = ask("model", "init", "--provider", provider)
    assert (written.code, written.stdout) == (0, "cost-model.toml\n")
    assert written.stderr.startswith("next: fill in what is marked CHOOSE")
    (node,) = load_model(here / "cost-model.toml").nodes
    assert node.spec.match.host == "demo"
    checked = ask("model", "check", "cost-model.toml")
    assert (checked.code, checked.stderr) == (0, "")
    assert checked.stdout.startswith("cost-model.toml: valid\nnode demo (")
    assert "disk demo/vda (" in checked.stdout
    assert max(map(len, checked.stdout.splitlines())) <= 80
    priced = ask("cost", "--model", "cost-model.toml")
    assert priced.code == 0
    assert "disk demo/vda (" in priced.stdout


def test_a_first_model_on_standard_output_leaves_no_file(ask, here):
    outcome = ask("model", "init", "last", "-o", "-")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith("# First cost model of host demo, from capture demo.\n")
    assert list(here.iterdir()) == []


def test_a_file_that_is_there_stays_without_force(ask, here, failed):
    mine = here / "mine.toml"
    mine.write_text("precious")
    failed(
        ask("model", "init", "-o", "mine.toml"),
        2,
        "the file is there already: mine.toml",
        "--force overwrites it",
    )
    assert mine.read_text() == "precious"
    assert ask("model", "init", "-o", "mine.toml", "--force").code == 0
    assert load_model(mine).name == "mine"
    assert [path.name for path in here.iterdir()] == ["mine.toml"]


@pytest.mark.parametrize(
    ("words", "code", "line", "hint"),
    [
        (["model"], 2, "missing action", "one of: init, check, schema"),
        (["model", "inti"], 2, "unknown action: inti", "did you mean init?"),
        (["model", "init", "demmo"], 4, "no such capture: demmo", "did you mean demo?"),
        (
            ["model", "init", "--provider", "asw"],
            2,
            "no such provider: asw",
            "did you mean aws?",
        ),
        (["model", "init", "-o", "no/such/x"], 2, "no such folder: no/such", "mkdir -p no/such"),
        (
            ["model", "check", "aws-us-est-1"],
            2,
            "no such cost model: aws-us-est-1",
            "did you mean aws-us-east-1?",
        ),
        (
            ["model", "check"],
            2,
            "missing argument: MODEL",
            "stackledger model --help shows what it takes",
        ),
    ],
)
def test_wrong_words(ask, here, failed, words, code, line, hint):
    failed(ask(*words), code, line, hint)
    assert list(here.iterdir()) == []


def test_check_says_file_line_field_and_what_is_accepted(run, here, failed):
    (here / "m.toml").write_text('schema = "cost-model/1"\n[[node]]\nmatch = { hots = "a" }\n')
    failed(
        run("model", "check", "m.toml"),
        2,
        "the cost model is wrong: m.toml:3: node[0].match.hots: unknown field",
        "did you mean host? accepted: host",
    )


def test_check_refuses_old_prices_with_the_remedy(run):
    outcome = run("model", "check", "aws-us-east-1", "--max-price-age", "1")
    assert (outcome.code, outcome.stdout) == (2, "")
    assert "the instance price of aws/us-east-1/m6i.large is of 2026-07-20" in outcome.stderr
    assert "hint: raise --max-price-age" in outcome.stderr


def test_conflicting_prices_are_used_on_request_alone(run, here):
    (here / "m.toml").write_text(
        'schema = "cost-model/1"\n[[node]]\nmatch = { host = "*" }\nmonthly_override = 1\n'
        '[[disk]]\nmatch = { host = "*", device = "*" }\nsize_gb = 100\n'
        'sku = "gcp/us-central1/hyperdisk-balanced"\n'
    )
    refused = run("model", "check", "m.toml")
    assert refused.code == 2
    assert "m.toml:8: sources disagree on the capacity price" in refused.stderr
    assert "hint: --allow-conflicting uses the highest" in refused.stderr
    allowed = run("model", "check", "m.toml", "--allow-conflicting")
    assert allowed.code == 0
    assert "$10.00" in allowed.stdout


def test_the_schema_printed_is_the_packaged_one(run):
    outcome = run("model", "schema")
    packaged = resources.folder("costmodels") / "cost-model.schema.json"
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout == packaged.read_text(encoding="utf-8")
    assert json.loads(outcome.stdout)["title"] == "stackledger cost model"


def test_amounts_are_shown_in_the_models_currency(run, here):
    (here / "m.toml").write_text(
        'schema = "cost-model/1"\ncurrency = "CHF"\n'
        '[[node]]\nmatch = { host = "*" }\nmonthly_override = 99.5\n'
    )
    outcome = run("model", "check", "m.toml")
    assert "CHF 99.50" in outcome.stdout
    assert "$" not in outcome.stdout
    assert "your own prices, unverified: node *" in outcome.stdout
