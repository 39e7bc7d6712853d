"""Every command over the replayed recording: its formats, its sums, its options."""

from __future__ import annotations

import csv
import io
import json
import shutil
from datetime import date
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from stackledger import catalog
from stackledger.analysis import needs
from stackledger.manifest import load
from stackledger.schema import TABLES

LEDGER_PARTS = ("cpu", "runq", "disk", "lock", "sleep", "queue", "net", "downstream", "other")
PARTS_NS = (*(f"{part}_ns" for part in LEDGER_PARTS), "unexplained_ns")

# Every command that prints rows, and a column that each of its rows fills.
WITH_ROWS = {
    "captures": (["captures"], "id"),
    "show": (["show"], "table"),
    "schema": (["show", "--schema"], "column"),
    "attribute": (["attribute"], "own_ns"),
    "cost": (["cost"], "cost_usd"),
    "prices": (["prices"], "price"),
    "query": (["query", "ledger"], "wall_ns"),
    "queries": (["query"], "purpose"),
    "sql": (["sql", "SELECT endpoint, wall_ns, status FROM requests ORDER BY ALL"], "endpoint"),
}


def rows_of(form: str, text: str) -> list[dict[str, object]]:
    """Return what a format says as one dict per row."""
    if form == "csv":
        return list(csv.DictReader(io.StringIO(text)))
    if form == "json":
        return json.loads(text, parse_float=Decimal)
    return [json.loads(line, parse_float=Decimal) for line in text.splitlines()]


def same(one: object, other: object) -> bool:
    """Compare a value of JSON with one of CSV, where NULL is empty and all is text."""
    if one is None:
        return other == ""
    if isinstance(one, int | Decimal) and not isinstance(one, bool):
        return float(one) == float(other)
    return str(one) == other


@pytest.mark.parametrize("name", WITH_ROWS)
def test_the_formats_say_the_same(name, ask):
    words, filled = WITH_ROWS[name]
    outcomes = {form: ask(*words, "--format", form) for form in ("json", "jsonl", "csv")}
    assert {outcome.code for outcome in outcomes.values()} == {0}
    assert {outcome.stderr for outcome in outcomes.values()} == {""}
    found = {form: rows_of(form, outcome.stdout) for form, outcome in outcomes.items()}
    assert found["json"] == found["jsonl"] != []
    assert len(found["csv"]) == len(found["json"])
    for one, other in zip(found["json"], found["csv"], strict=True):
        assert list(one) == list(other)
        assert one[filled] not in (None, "")
        assert {key: same(one[key], other[key]) for key in one} == dict.fromkeys(one, True)


@pytest.mark.parametrize("name", WITH_ROWS)
def test_parquet_is_the_same_again(name, ask, program):
    words, _ = WITH_ROWS[name]
    done = program(*words, "--format", "parquet")
    assert (done.returncode, done.stderr) == (0, b"")
    found = pq.read_table(io.BytesIO(done.stdout)).to_pylist()
    told = rows_of("json", ask(*words, "--format", "json").stdout)
    assert [list(row) for row in found] == [list(row) for row in told]
    for one, other in zip(found, told, strict=True):
        for key, stored in one.items():
            value = stored.isoformat() if isinstance(stored, date) else stored
            assert (float(other[key]) if isinstance(value, float) else other[key]) == value


@pytest.mark.parametrize("name", WITH_ROWS)
def test_a_table_fits_80_columns(name, ask):
    words, _ = WITH_ROWS[name]
    outcome = ask(*words, "--format", "table")
    assert outcome.code == 0
    assert too_long(outcome.stdout) == []
    for line in outcome.stderr.splitlines():
        assert line.startswith("left out, 0 or empty in every row: ")


def too_long(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line) > 80]


def test_without_a_terminal_rows_are_csv(ask):
    words, _ = WITH_ROWS["sql"]
    assert ask(*words).stdout == ask(*words, "--format", "csv").stdout


@pytest.mark.parametrize("name", sorted(catalog.queries()))
def test_every_named_query_answers_as_its_header_says(name, ask, replayed):
    outcome = ask("query", name, "--format", "jsonl")
    assert outcome.code == 0
    # The recording is of the stack alone: it does not hold the tables of every signal.
    reads = needs.relations(catalog.queries()[name].text(), TABLES) & set(TABLES)
    if name == "overhead":  # lines that are replayed cost the host nothing
        assert load(replayed.folder).overhead is None
        assert outcome.stdout == ""
        return
    assert outcome.stdout or not all((replayed.folder / table).is_dir() for table in reads)
    # Where nobody looked, an empty answer says so.
    of_probes = {table for probe in catalog.probes().values() for table in probe.tables}
    unseen = (reads & of_probes) - {"connection", "request", "call", "block_io"}
    assert bool(outcome.stderr) == bool(unseen and not outcome.stdout)
    assert outcome.stderr.startswith("not recorded in this capture: ") or not outcome.stderr
    limited = ask("query", name, "--format", "jsonl", "--limit", "1")
    assert limited.stdout.splitlines(keepends=True) == outcome.stdout.splitlines(keepends=True)[:1]
    table = ask("query", name, "--format", "table", "--limit", "3")
    assert too_long(table.stdout) == []


def test_the_list_of_queries_has_each_purpose(ask):
    rows = rows_of("csv", ask("query", "--format", "csv").stdout)
    known = catalog.queries()
    assert rows == [{"query": name, "purpose": known[name].purpose} for name in known]


@pytest.mark.parametrize("name", sorted(catalog.queries()))
def test_explain_says_what_a_query_answers_and_does_not_run_it(name, run, monkeypatch):
    monkeypatch.setenv("STACKLEDGER_STORE", "/nonexistent")
    outcome = run("query", name, "--explain")
    assert (outcome.code, outcome.stderr) == (0, "")
    wanted = catalog.queries()[name]
    assert too_long(outcome.stdout) == []
    told = " ".join(outcome.stdout.split())
    for key in ("answers", "params", "returns", "cost"):
        assert f"{key} {getattr(wanted, key)}".rstrip() in told


def test_a_limit_is_told_below_a_table_only(ask):
    whole = rows_of("csv", ask("query", "requests", "--format", "csv").stdout)
    table = ask("query", "requests", "--format", "table", "--limit", "2")
    assert f"… {len(whole) - 2} more rows\n" in table.stderr
    assert "more rows" not in table.stdout
    assert len(rows_of("csv", ask("query", "requests", "--limit", "2").stdout)) == 2


def test_a_parameter_narrows_a_query(ask):
    rows = rows_of("csv", ask("query", "slowest", "--param", "count=3").stdout)
    assert len(rows) == 3
    endpoint = rows[0]["endpoint"]
    rows = rows_of("csv", ask("query", "ledger", "--param", f"endpoint={endpoint}").stdout)
    assert {row["endpoint"] for row in rows} == {endpoint}


def test_the_parts_of_every_row_sum_to_its_wall_time(ask):
    for name in ("ledger", "requests"):
        rows = rows_of("json", ask("query", name, "--format", "json").stdout)
        for row in rows:
            parts = sum(row.get(part) or 0 for part in PARTS_NS)
            assert abs(parts - row["wall_ns"]) <= row["wall_ns"] / 1000 + 1000


def test_attribute_sums(ask):
    rows = rows_of("json", ask("attribute", "--format", "json").stdout)
    assert {row["band"] for row in rows} == {"slow", "median"}
    for row in rows:
        parts = [value for key, value in row.items() if key.endswith("_ns") and key != "own_ns"]
        assert sum(parts) == pytest.approx(row["own_ns"])
    slow, median = (
        sum(row["own_ns"] for row in rows if row["band"] == band) for band in ("slow", "median")
    )
    assert slow > median


def test_the_tree_names_the_largest_part(ask):
    outcome = ask("attribute")
    assert (outcome.code, outcome.stderr) == (0, "")
    lines = outcome.stdout.splitlines()
    assert too_long(outcome.stdout) == []
    assert lines[0].startswith("all endpoints · p99 band, ")
    (total,) = [line for line in lines if line.startswith("sum = wall time")]
    assert " 100.0 % " in total
    assert any(line.startswith("of it unexplained") for line in lines)
    assert lines[-1].endswith(".")
    assert " ".join(lines[lines.index("") + 1 :]).startswith("At p99, ")


def test_attribute_of_one_endpoint_and_percentile(ask):
    rows = rows_of("csv", ask("query", "endpoints").stdout)
    for endpoint in [row["endpoint"] for row in rows][:2]:
        outcome = ask("attribute", "--endpoint", endpoint, "--percentile", "50")
        assert outcome.code == 0
        assert outcome.stdout.startswith(f"{endpoint} · p50 band, ")


@pytest.mark.parametrize("model", ["aws-us-east-1", "gcp-us-central1"])
def test_cost_sums_to_the_bill(model, ask):
    outcome = ask("cost", "--model", model)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert too_long(outcome.stdout) == []
    figures = {
        line.rsplit("$", 1)[0].strip(" -"): Decimal(line.rsplit("$", 1)[1].split()[0])
        for line in outcome.stdout.splitlines()
        if line.startswith(("all requests", "+ ", "= bill", "difference"))
    }
    assert figures["difference"] == 0
    bill = figures["= bill of the window"]
    rows = rows_of("json", ask("cost", "--model", model, "--format", "json").stdout)
    assert abs(sum(row["cost_usd"] for row in rows) - bill) < Decimal("1e-7")
    assert {row["kind"] for row in rows} >= {"request"}


@pytest.mark.parametrize(
    ("by", "first"),
    [
        ("service", "service"),
        ("container", "container"),
        ("statement", "statement"),
        ("^GET /api/(.)", "match"),
    ],
)
def test_cost_by_another_dimension(by, first, ask):
    whole = rows_of("json", ask("cost", "--format", "json").stdout)
    outcome = ask("cost", "--by", by, "--format", "json")
    assert (outcome.code, outcome.stderr) == (0, "")
    rows = rows_of("json", outcome.stdout)
    assert {first, "kind", "layer", "cost_usd"} <= set(rows[0])
    bill = sum(Decimal(str(row["cost_usd"])) for row in whole)
    assert sum(Decimal(str(row["cost_usd"])) for row in rows) == pytest.approx(bill)
    shown = ask("cost", "--by", by)
    assert shown.code == 0
    assert f"by {first}: model aws-us-east-1" in shown.stdout
    assert too_long(shown.stdout) == []


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--by", "servce"), 2, "no such dimension: servce\nhint: did you mean service?"),
        (("--by", "/api/(a"), 2, "wrong at character 6, missing ): /api/(a"),
        (("--by", r"a\("), 2, "it has no group"),
        (("--max-price-age", "0"), 2, "older than 0 days"),
        (("--from", "+8.3s", "--until", "+8.31s"), 4, "no complete request"),
    ],
)
def test_cost_refuses_what_it_cannot_answer(options, code, said, ask):
    outcome = ask("cost", *options)
    assert (outcome.code, outcome.stdout) == (code, "")
    assert said in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_cost_with_a_model_of_ones_own(ask, tmp_path):
    own = tmp_path / "mine.toml"
    own.write_text(
        'schema = "cost-model/1"\n'
        '[[node]]\nmatch = {host = "*"}\nvcpu = 2\nmemory_gib = 8\nmonthly_override = 730\n'
    )
    outcome = ask("cost", "--model", str(own), "--format", "json")
    assert outcome.code == 0
    wall_ns = rows_of("json", ask("captures", "--format", "json").stdout)[0]["wall_ns"]
    total = sum(row["cost_usd"] for row in rows_of("json", outcome.stdout))
    # 730 dollars for 730 hours.
    assert float(total) == pytest.approx(wall_ns / 3.6e12, rel=1e-6)


def test_show_tells_what_is_there(ask, replayed):
    outcome = ask("show")
    assert (outcome.code, outcome.stderr) == (0, "")
    for wanted in (replayed.id, str(replayed.folder), "complete", "\nTables\n", "\nLayers\n"):
        assert wanted in outcome.stdout
    assert [line for line in too_long(outcome.stdout) if str(replayed.folder) not in line] == []


def test_show_tells_what_happened_to_the_clocks(own):
    run, folder = own
    path = folder / "capture.json"
    assert "\nclock " not in run("show").stdout
    told = json.loads(path.read_text())
    start = told["clock"][0]
    boot, wall = start["boottime_ns"], start["realtime_ns"]
    told["clock"] = [
        {"boottime_ns": boot + at_s * 10**9, "realtime_ns": wall + (at_s + set_s) * 10**9,
         "error_ns": 100, "suspended_ns": slept_s * 10**9}
        for at_s, set_s, slept_s in ((0, 0, 5), (10, 3, 5), (80, 3, 65))
    ]  # fmt: skip
    path.write_text(json.dumps(told))
    shown = " ".join(run("show").stdout.split())
    assert "clock the wall clock was set by +3.000 s, 0 to 10 s after the start;" in shown
    assert "clock the host slept for 60.0 s meanwhile" in shown


def test_show_schema_documents_every_column(ask):
    rows = rows_of("csv", ask("show", "--schema", "--format", "csv").stdout)
    documented = {(row["table"], row["column"]): row for row in rows}
    for table in TABLES.values():
        for column in table.columns:
            assert documented[table.name, column.name]["unit"] == column.unit
    assert {("requests", "wall_ns"), ("calls", "wait_ns"), ("edge", "grade")} <= set(documented)
    assert all(row["meaning"] and row["type"] for row in rows)
    durations = [row for row in rows if row["column"].endswith("_ns")]
    assert {row["unit"] for row in durations} == {"ns"}


def test_every_relation_of_the_schema_can_be_read(ask):
    rows = rows_of("csv", ask("show", "--schema", "--format", "csv").stdout)
    columns: dict[str, list[str]] = {}
    for row in rows:
        columns.setdefault(row["table"], []).append(f'"{row["column"]}"')
    reads = [f'SELECT {", ".join(names)} FROM "{name}"' for name, names in columns.items()]
    outcome = ask("sql", "; ".join([*reads, "SELECT 42 AS done"]))
    assert outcome == (0, "done\n42\n", "")


def test_a_capture_is_found_by_every_name(ask, run, replayed, monkeypatch):
    wanted = ask("query", "losses").stdout
    for word in ("last", replayed.id, replayed.name, str(replayed.folder)):
        assert ask("query", "losses", word).stdout == wanted
    monkeypatch.delenv("STACKLEDGER_STORE")
    assert run("query", "losses", str(replayed.folder)).stdout == wanted
    assert run("query", "losses", "--store", str(replayed.store)).stdout == wanted


def test_store_wins_over_the_environment(ask, replayed, tmp_path):
    assert ask("captures", "--store", str(tmp_path)).stdout.count("\n") == 1
    assert ask("captures", "--store", str(replayed.store)).stdout.count("\n") == 2


def test_an_empty_store_lists_nothing(run, tmp_path):
    outcome = run("captures", "--store", str(tmp_path / "not-yet"))
    assert (outcome.code, outcome.stdout.count("\n"), outcome.stderr) == (0, 1, "")


@pytest.fixture
def two(replayed, tmp_path):
    """Return a store of two captures, of which the second began an hour later."""
    shutil.copytree(replayed.store, tmp_path / "store")
    first = tmp_path / "store" / replayed.folder.relative_to(replayed.store)
    second = first.with_name("capture=later")
    shutil.copytree(first, second)
    told = json.loads((second / "capture.json").read_text())
    told["id"], told["started_ns"] = "later", told["started_ns"] + 3600 * 10**9
    told["ended_ns"] += 3600 * 10**9
    (second / "capture.json").write_text(json.dumps(told))
    return tmp_path / "store"


def test_over_several_captures_the_first_column_names_each(two, run, replayed):
    one = rows_of("csv", run("query", "losses", "later", "--store", str(two)).stdout)
    assert "capture" not in one[0]
    outcome = run("query", "losses", replayed.id, "later", "--store", str(two))
    assert rows_of("csv", outcome.stdout) == [
        {"capture": name, **row} for name in (replayed.id, "later") for row in one
    ]
    assert run("query", "losses", "all", "--store", str(two)).stdout == outcome.stdout
    statement = "SELECT count(*) AS n FROM requests"
    every = rows_of("csv", run("sql", "all", statement, "--store", str(two)).stdout)
    assert [row["capture"] for row in every] == [replayed.id, "later"]
    named = rows_of("csv", run("sql", "later", "last", statement, "--store", str(two)).stdout)
    assert [row["capture"] for row in named] == ["later", "later"]


def test_the_newest_comes_first_and_is_the_last(two, run, replayed):
    rows = rows_of("csv", run("captures", "--store", str(two)).stdout)
    assert [row["id"] for row in rows] == ["later", replayed.id]
    assert run("captures", "--store", str(two), "--limit", "1").stdout.count("\n") == 2
    for word in ("last", replayed.name):
        assert "later" in run("show", word, "--store", str(two)).stdout


def test_own_layer_rules_come_first(ask, tmp_path):
    rules = tmp_path / "layers.csv"
    rules.write_text("field,pattern,layer\nservice,postgres,my-database\n")
    statement = "SELECT DISTINCT layer FROM requests WHERE service = 'postgres'"
    outcome = ask("sql", statement, "--layers", str(rules))
    assert outcome.stdout.splitlines() == ["layer", "my-database"]


def test_report_is_written_where_it_is_told(ask, replayed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ask("report") == (0, f"{replayed.name}.html\n", "")
    target = tmp_path / "page.html"
    outcome = ask("report", "-o", str(target), "--percentile", "90", "--model", "none")
    assert outcome == (0, f"{target}\n", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.html", "page.html"]
    page = target.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert page.rstrip().endswith("</html>")
    assert "http://" not in page.replace("http://www.w3.org/", "")


def test_report_shows_what_was_foreseen_and_what_came(replayed, run, tmp_path):
    two, page = tmp_path / "store", tmp_path / "page.html"
    shutil.copytree(replayed.store, two)
    first = two / replayed.folder.relative_to(replayed.store)
    shutil.copytree(first, first.with_name("capture=later"))
    told = json.loads((first / "capture.json").read_text()) | {"id": "later"}
    (first.with_name("capture=later") / "capture.json").write_text(json.dumps(told))
    options = ("--store", str(two))
    run("whatif", replayed.id, "--disk", "gp3,iops=6000", "--save", "disk", *options)
    report = ("report", "-o", str(page), *options)
    assert run(*report[:1], replayed.id, *report[1:]) == (0, f"{page}\n", "")
    assert "Options compared" in page.read_text(encoding="utf-8")
    assert "what came of it" not in page.read_text(encoding="utf-8")
    assert run(*report[:1], "later", *report[1:], "--validate", "disk") == (0, f"{page}\n", "")
    assert "What was foreseen, and what came of it" in page.read_text(encoding="utf-8")
    outcome = run(*report[:1], "later", *report[1:], "--validate", "dsik")
    assert outcome.code == 4
    assert outcome.stderr.endswith("no such prediction: dsik\nhint: did you mean disk?\n")


def test_report_does_without_a_broken_prediction(two, run, replayed, tmp_path):
    folder = two / replayed.folder.relative_to(replayed.store)
    (folder / "predictions").mkdir()
    (folder / "predictions/disk.json").write_text("{")
    page = tmp_path / "page.html"
    outcome = run("report", replayed.id, "--store", str(two), "-o", str(page))
    assert (outcome.code, outcome.stdout) == (0, f"{page}\n")
    assert "warning: without its predictions: broken prediction" in outcome.stderr
    assert "Prices used" in page.read_text(encoding="utf-8")


def test_report_on_standard_output_is_the_page_alone(program, ask, tmp_path):
    done = program("report", "-o", "-", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    target = tmp_path / "page.html"
    ask("report", "-o", str(target))
    assert done.stdout == target.read_bytes()


def test_demo_prints_tree_and_costs_and_writes_its_report(run, tmp_path, monkeypatch):
    monkeypatch.delenv("STACKLEDGER_STORE", raising=False)
    target, store = tmp_path / "page.html", tmp_path / "store"
    outcome = run("demo", "-o", str(target), "--store", str(store))
    assert outcome.code == 0
    assert too_long(outcome.stdout) == []
    assert "sum = wall time" in outcome.stdout
    assert "= bill of the window" in outcome.stdout
    notes = outcome.stderr.splitlines()
    assert notes[0].startswith("replaying a recording of nginx")
    assert notes[-1] == f"the report: {target}"
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    (folder,) = store.glob("dt=*/host=*/capture=*")
    assert f"the capture: {folder}" in notes
    assert run("attribute", str(folder)).stdout in outcome.stdout


def test_demo_leaves_its_report_alone(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert run("demo").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["stackledger-demo.html"]
