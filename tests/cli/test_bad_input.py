"""Wrong words, broken files, odd surroundings: one clear line, the remedy, the exit code."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from stackledger.schema import SCHEMA_VERSION


def failed(outcome, code, line, hint=None):
    """Assert one error line, its hint, its code, and nothing on standard output."""
    told = outcome.stderr.splitlines()
    assert told == [f"stackledger: error: {line}", *([f"hint: {hint}"] if hint else [])]
    assert (outcome.code, outcome.stdout) == (code, "")


@pytest.fixture
def copy(replayed, tmp_path):
    """Return a store of one's own to break, and the folder of its only capture."""
    store = tmp_path / "store"
    shutil.copytree(replayed.store, store)
    return store, store / replayed.folder.relative_to(replayed.store)


def change(folder, **fields):
    """Write other values into a capture.json."""
    path = folder / "capture.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


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
            "give a file or one of: aws-us-east-1, gcp-us-central1",
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
def test_wrong_words(words, code, line, hint, ask):
    failed(ask(*words), code, line, hint)


def test_an_unknown_endpoint(ask):
    outcome = ask("attribute", "--endpoint", "GET /api/order/{id}")
    failed(
        outcome, 2, "no such endpoint: GET /api/order/{id}", "did you mean GET /api/orders/{id}?"
    )
    outcome = ask("report", "--endpoint", "zz", "-o", "-")
    assert outcome.stderr.splitlines()[1].startswith("hint: seen: GET /api/orders/{id}, ")
    assert (outcome.code, outcome.stdout) == (2, "")


SQL_HINT = 'stackledger sql last "SELECT count(*) FROM requests"'


@pytest.mark.parametrize(
    ("statement", "code", "line"),
    [
        ("SELEC 1", 2, 'syntax error at or near "SELEC" (line 1, column 1: SELEC 1)'),
        ("SELECT *\nFROM reqests", 2, "(line 2, column 6: FROM reqests)"),
        ("SELECT cuont(*)\nFROM requests", 2, "(line 1, column 8: SELECT cuont(*))"),
        ("SELECT nope FROM requests", 2, 'column "nope" not found'),
        ("SELECT 'x'::INTEGER", 1, "Could not convert string 'x'"),
        ("SELECT error('own\nwords')", 1, "own words"),
        ("SELECT * FROM read_csv('/nonexistent')", 1, "/nonexistent"),
    ],
)
def test_an_error_in_sql_is_one_line_with_its_place(statement, code, line, ask):
    outcome = ask("sql", statement)
    assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (code, "", 1)
    assert outcome.stderr.startswith("stackledger: error: SQL: ")
    assert line in outcome.stderr


@pytest.mark.parametrize("words", [[], [""], ["  -- nothing"], [";"]])
def test_sql_without_a_statement(words, ask):
    outcome = ask("sql", *words)
    assert outcome.stderr.startswith("stackledger: error: ")
    assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 2)


def test_sql_whose_last_word_is_a_capture(ask):
    failed(ask("sql", "last"), 2, "the last word is not an SQL statement: last", SQL_HINT)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM loss",
        "DROP VIEW request",
        "CREATE TABLE own AS SELECT 1",
        "DROP TABLE requests; SELECT 1",
        "UPDATE capture SET name = 'forged'",
    ],
)
def test_sql_that_changes_something_changes_no_capture(statement, ask, replayed):
    before = contents(replayed.store)
    assert ask("sql", statement).code == 0
    assert contents(replayed.store) == before
    assert ask("query", "losses").stdout.count("\n") > 1


def contents(folder):
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_of_several_statements_the_last_one_answers(ask):
    outcome = ask("sql", "CREATE TEMP TABLE own AS SELECT 17 AS n; SELECT n + 1 AS n FROM own")
    assert outcome == (0, "n\n18\n", "")


def test_odd_values_come_through_every_format(ask):
    statement = (
        "SELECT 1 AS a, 2 AS a, 'nan'::DOUBLE AS nan, {'k': [1, 2]} AS nested, 'x\\xff'::BLOB AS b,"
        " 170141183460469231731687303715884105727 AS wide, 'line' || chr(10) || chr(27) AS s,"
        " NULL AS nothing, 0.10::DECIMAL(9, 2) AS price"
    )
    (row,) = json.loads(ask("sql", statement, "--format", "json").stdout)
    assert row == {
        "a": 1,
        "a_2": 2,
        "nan": None,
        "nested": {"k": [1, 2]},
        "b": "x\\xff",
        "wide": 170141183460469231731687303715884105727,
        "s": "line\n\x1b",
        "nothing": None,
        "price": 0.1,
    }
    text = ask("sql", statement, "--format", "csv").stdout
    assert text.endswith(
        '1,2,nan,"{""k"":[1,2]}",x\\xff,170141183460469231731687303715884105727,'
        '"line\n\x1b",,0.10\n'
    )
    table = ask("sql", statement, "--format", "table").stdout
    assert "line\\x0a\\x1b" in table
    assert "\x1b" not in table


def test_a_store_that_holds_nothing(run, tmp_path):
    hint = "sudo stackledger capture records one; --store DIR names another store"
    for words in (["attribute"], ["query", "ledger"], ["show", "--schema"], ["report"], ["cost"]):
        outcome = run(*words, "--store", str(tmp_path))
        failed(outcome, 4, f"the store holds no capture: {tmp_path}", hint)
    outcome = run("sql", "all", "SELECT 1", "--store", str(tmp_path))
    failed(outcome, 4, f"the store holds no capture: {tmp_path}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["captures"], ["attribute"], ["sql", "all", "SELECT 1"]])
def test_a_store_that_is_a_file(words, run, tmp_path):
    path = tmp_path / "store"
    path.write_text("not a store")
    failed(run(*words, "--store", str(path)), 2, f"the store is not a folder: {path}")
    assert path.read_text() == "not a store"


@pytest.fixture
def no_privileges():
    """Return a context in which this process may read what any user may, and no more."""

    @contextmanager
    def entered():
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(before)

    return entered


def test_a_store_that_may_not_be_read(copy, run, no_privileges):
    store, _ = copy
    assert run("attribute", "--store", str(store)).code == 0
    store.chmod(0)
    with no_privileges():
        outcomes = [run(*words, "--store", str(store)) for words in (["captures"], ["attribute"])]
    store.chmod(0o755)
    for outcome in outcomes:
        failed(
            outcome,
            1,
            f"cannot read the store: {store}: Permission denied",
            "captures made as root are root's: sudo, or chmod a+rX",
        )


def test_demo_into_a_store_that_is_a_file(run, tmp_path):
    path = tmp_path / "store"
    path.write_text("not a store")
    outcome = run("demo", "--store", str(path), "-o", str(tmp_path / "page.html"))
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr.splitlines()[-2:] == [
        f"stackledger: error: cannot write to the store: {path}: Not a directory",
        "hint: choose another place with --store DIR, or set STACKLEDGER_STORE",
    ]
    assert [one.name for one in tmp_path.iterdir()] == ["store"]


def test_a_capture_that_was_cut_off(copy, run):
    store, folder = copy
    change(folder, state="recording", ended_ns=0, losses=[], writer_pid=2**22 - 1)
    outcome = run("show", "--store", str(store))
    assert outcome.code == 0
    assert "state        incomplete: its recording was cut off" in outcome.stdout
    outcome = run("attribute", "--store", str(store))
    assert outcome.code == 0
    assert "sum = wall time" in outcome.stdout
    assert outcome.stderr == (
        "stackledger: warning: demo: its recording was cut off:"
        " what was written until then is whole\n"
    )
    assert ",cut off," in run("captures", "--store", str(store)).stdout
    for words in (["cost"], ["report", "-o", "-"], ["query", "services"]):
        assert run(*words, "--store", str(store)).code == 0


def test_a_capture_that_is_being_written(copy, run):
    store, folder = copy
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    anchor = {"boottime_ns": now, "realtime_ns": time.time_ns(), "error_ns": 0}
    written = {"state": "recording", "ended_ns": 0, "boot_id": boot, "clock": [anchor]}
    change(folder, **written, writer_pid=os.getpid())
    outcome = run("query", "losses", "--store", str(store))
    assert outcome.code == 0
    assert outcome.stderr == (
        "stackledger: warning: demo: it is still being written: these are the rows so far\n"
    )
    assert ",writing," in run("captures", "--store", str(store)).stdout
    # The same number, but the process is younger than the recording.
    change(folder, **{**written, "clock": [{**anchor, "boottime_ns": 1}]}, writer_pid=os.getpid())
    assert "cut off" in run("query", "losses", "--store", str(store)).stderr


def test_a_capture_that_failed(copy, run):
    store, folder = copy
    change(folder, state="failed", error="block_io: bpftrace was ended by SIGKILL")
    outcome = run("attribute", "--store", str(store))
    assert outcome.code == 0
    assert outcome.stderr == (
        "stackledger: warning: demo: its recording failed:"
        " block_io: bpftrace was ended by SIGKILL\n"
    )


def test_losses_are_told_with_every_answer(copy, run):
    store, folder = copy
    loss = {"table": "request", "produced": 3000, "received": 2900, "lost": 90, "undecodable": 10}
    change(folder, losses=[loss])
    for words in (["attribute"], ["cost"], ["query", "ledger"]):
        outcome = run(*words, "--store", str(store))
        assert outcome.code == 0
        assert "100 of 3,000 rows (3.3 %) were lost" in outcome.stderr


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"schema_version": 1}', '{"schema_version": "1"}', "\xff"]
)
def test_a_broken_manifest(content, copy, run):
    store, folder = copy
    (folder / "capture.json").write_text(content, encoding="latin-1")
    outcome = run("show", str(folder))
    assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (1, "", 1)
    wanted = f"stackledger: error: broken capture.json: {folder / 'capture.json'}: "
    assert outcome.stderr.startswith(wanted)
    # By its id too, which is the folder's name.
    named = run("show", folder.name.removeprefix("capture="), "--store", str(store))
    assert named == outcome


def test_a_broken_capture_does_not_hide_the_others(copy, run, replayed):
    store, folder = copy
    other = folder.with_name("capture=broken")
    shutil.copytree(folder, other)
    (other / "capture.json").write_text("{")
    for words in (["attribute"], ["show", replayed.name], ["sql", "all", "SELECT 1"]):
        outcome = run(*words, "--store", str(store))
        assert outcome.code == 0
        assert outcome.stdout
        assert outcome.stderr.startswith("stackledger: warning: left out: broken capture.json: ")
        assert outcome.stderr.count("\n") == 1


def test_a_capture_of_a_newer_schema(copy, run):
    store, folder = copy
    # Whatever else it says, it need not be understood.
    path = folder / "capture.json"
    path.write_text(json.dumps({"schema_version": SCHEMA_VERSION + 1, "probes": "new"}))
    line = (
        f"the capture was written by a newer stackledger: {path}:"
        f" schema {SCHEMA_VERSION + 1}, this one reads {SCHEMA_VERSION}"
    )
    failed(run("attribute", str(folder)), 1, line, "upgrade: pip install -U stackledger")
    assert "newer stackledger" in run("captures", "--store", str(store)).stderr


@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty", "torn"])
def test_a_broken_part(damage, copy, run):
    _, folder = copy
    part = min((folder / "request").glob("part-*.parquet"))
    content = part.read_bytes()
    middle = len(content) // 2
    part.write_bytes(
        {
            "garbage": b"garbage" * 100,
            "truncated": content[:-100],
            "empty": b"",
            "torn": content[:4] + bytes(middle) + content[4 + middle :],
        }[damage]
    )
    where = str(folder)
    for words in (
        ["attribute", where],
        ["cost", where],
        ["show", where],
        ["query", "requests", where],
        ["sql", where, "FROM request"],
    ):
        failed(
            run(*words),
            1,
            f"a part of the capture cannot be read: {part}",
            "move that file out of the capture's folder: the other parts still answer",
        )
    part.unlink()
    assert run("show", str(folder)).code == 0


def test_an_unfinished_part_is_not_read(copy, run):
    store, folder = copy
    before = run("query", "losses", "--store", str(store))
    (folder / "request" / ".part-000099.parquet.tmp").write_bytes(b"half")
    assert run("query", "losses", "--store", str(store)) == before


@pytest.fixture
def empty(copy):
    """Return the store of a capture during which nobody asked for anything."""
    store, folder = copy
    for table in ("connection", "request", "call"):
        shutil.rmtree(folder / table)
    return store


def test_a_capture_without_traffic(empty, run, tmp_path):
    for words in (["attribute"], ["cost"], ["report", "-o", str(tmp_path / "page.html")]):
        outcome = run(*words, "--store", str(empty))
        assert outcome.stderr.splitlines()[0].startswith("stackledger: error: no complete request")
        assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (4, "", 2)
    assert not (tmp_path / "page.html").exists()
    assert run("query", "ledger", "--store", str(empty)).stdout.count("\n") == 1
    assert run("query", "ledger", "--store", str(empty), "--format", "json").stdout == "[]\n"
    assert run("query", "biosnoop", "--store", str(empty)).stdout.count("\n") > 1
    assert run("show", "--store", str(empty)).stdout.endswith("\nLayers\nnone\n")


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
def test_wrong_words_for_capture_need_no_root_to_be_refused(words, line, hint, run, tmp_path):
    failed(run("capture", "--store", str(tmp_path / "store"), *words), 2, line, hint)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_a_query(replayed):
    endless = "SELECT sum(a.range * b.range) FROM range(10000000) AS a, range(10000000) AS b"
    asking = subprocess.Popen(
        [sys.executable, "-m", "stackledger", "sql", endless],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "STACKLEDGER_STORE": str(replayed.store),
        },
    )
    with pytest.raises(subprocess.TimeoutExpired):
        asking.communicate(timeout=4)
    asking.send_signal(signal.SIGINT)
    assert asking.communicate(timeout=5) == (b"", b"")
    assert asking.returncode == 130


def shell(script, replayed, **environment):
    """Run a script in which `stackledger` is this one."""
    return subprocess.run(
        ["bash", "-c", f'stackledger() {{ "{sys.executable}" -m stackledger "$@"; }}\n{script}'],
        capture_output=True,
        text=True,
        timeout=60,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "STACKLEDGER_STORE": str(replayed.store),
            **environment,
        },
    )


def test_a_closed_pipe_is_no_failure(replayed):
    done = shell(
        'stackledger sql "SELECT * FROM block_io" | head -1; echo ${PIPESTATUS[0]}', replayed
    )
    assert done.stdout.splitlines()[0].startswith("ts_ns,pid,")
    assert (done.stdout.splitlines()[1:], done.stderr) == (["0"], "")


def test_a_full_disk_under_standard_output(replayed):
    for words in ('sql "SELECT * FROM block_io"', "attribute", "sql --format parquet 'SELECT 1'"):
        done = shell(f"stackledger {words} > /dev/full", replayed)
        assert done.stderr == (
            "stackledger: error: cannot write to standard output: No space left on device\n"
        )
        assert done.returncode == 1


def test_without_a_locale_and_a_home(replayed):
    done = shell("stackledger attribute; stackledger report -o -", replayed, LC_ALL="C")
    assert (done.returncode, done.stderr) == (0, "")
    # Python takes UTF-8 where the locale is C; where it is told not to, escapes.
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = shell("stackledger attribute; stackledger query --format json", replayed, **ascii_only)
    assert (done.returncode, done.stderr) == (0, "")
    assert "all endpoints \\xb7 p99 band" in done.stdout
    done = shell("stackledger captures", replayed, STACKLEDGER_STORE="", XDG_DATA_HOME="")
    assert (done.returncode, done.stderr) == (0, "")


def on_terminal(*words, **environment):
    """Run a command on a terminal of 80 columns; return its exit code and what is seen."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 80, 0, 0))
    running = subprocess.Popen(
        [sys.executable, "-m", "stackledger", *words],
        stdin=its,
        stdout=its,
        stderr=its,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            **environment,
        },
    )
    os.close(its)
    seen = b""
    with suppress(OSError):  # a terminal ends so
        while data := os.read(ours, 1 << 16):
            seen += data
    os.close(ours)
    return running.wait(10), seen.decode().replace("\r\n", "\n")


def test_parquet_is_not_for_a_terminal(replayed):
    words = ("captures", "--format", "parquet", "--store", str(replayed.store))
    assert on_terminal(*words) == (
        2,
        "stackledger: error: Parquet is not for a terminal\nhint: redirect it: … > rows.parquet\n",
    )


def test_a_terminal_gets_a_table_that_fits(replayed):
    code, seen = on_terminal("query", "services", "--store", str(replayed.store), NO_COLOR="1")
    assert code == 0
    assert not seen.startswith("caller,")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", seen)
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 80
