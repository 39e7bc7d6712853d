"""Stores and captures that are empty, broken, cut off, newer, or not to be read."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from stackledger.schema import SCHEMA_VERSION


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


def test_a_store_that_holds_nothing(run, tmp_path, failed):
    hint = "sudo stackledger capture records one; --store DIR names another store"
    for words in (
        *(["attribute"], ["query", "ledger"], ["show", "--schema"], ["report"], ["cost"]),
        *(["sql", "all", "SELECT 1"], ["query", "ledger", "all"]),
    ):
        outcome = run(*words, "--store", str(tmp_path))
        failed(outcome, 4, f"the store holds no capture: {tmp_path}", hint)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["captures"], ["attribute"], ["sql", "all", "SELECT 1"]])
def test_a_store_that_is_a_file(words, run, tmp_path, failed):
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


def test_a_store_that_may_not_be_read(copy, run, no_privileges, failed):
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
            "a capture is its owner's: root's, or whose sudo recorded it",
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


def test_a_capture_of_a_newer_schema(copy, run, failed):
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


@pytest.mark.parametrize("version", [0, -1])
def test_a_capture_of_a_schema_that_never_was(version, copy, run, failed):
    _, folder = copy
    change(folder, schema_version=version)
    line = (
        f"broken capture.json: {folder / 'capture.json'}:"
        f" schema {version}, this one reads 1 to {SCHEMA_VERSION}"
    )
    failed(run("attribute", str(folder)), 1, line)


@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty", "torn"])
def test_a_broken_part(damage, copy, run, failed):
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
    for words in (["attribute"], ["cost"], ["report", "--endpoint", "GET /", "-o", "-"]):
        outcome = run(*words, "--store", str(empty))
        assert outcome.stderr.splitlines()[0].startswith("stackledger: error: no complete request")
        assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (4, "", 2)
    page = tmp_path / "page.html"
    assert run("report", "--store", str(empty), "-o", str(page))[:2] == (0, f"{page}\n")
    told = page.read_text(encoding="utf-8")
    assert "No requests were recorded" in told
    assert "CPU and memory over time" in told
    assert 'id="ledger"' not in told
    assert run("query", "ledger", "--store", str(empty)).stdout.count("\n") == 1
    assert run("query", "ledger", "--store", str(empty), "--format", "json").stdout == "[]\n"
    assert run("query", "biosnoop", "--store", str(empty)).stdout.count("\n") > 1
    assert run("show", "--store", str(empty)).stdout.endswith("\nLayers\nnone\n")


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ('x" AS SELECT 1; --', "a"),
        ("request", "a"),
        ("capture", "a"),
        ("mine", 'a" FROM loss; --'),
        ("Mine", "a"),
    ],
)
def test_a_scripts_table_with_a_name_that_is_none(copy, run, name, column):
    store, folder = copy
    change(folder, own_tables=[{"name": name, "columns": [{"name": column, "kind": "int64"}]}])
    for words in (["query", "losses"], ["show"], ["sql", "FROM loss"]):
        outcome = run(*words, "--store", str(store))
        assert (outcome.code, outcome.stdout) == (1, "")
        assert outcome.stderr.startswith("stackledger: error: broken capture.json: ")


def test_a_scripts_table_without_rows(copy, run):
    store, folder = copy
    columns = [{"name": "a", "kind": ""}, {"name": "b_ns", "kind": "int64", "unit": "ns"}]
    change(folder, own_tables=[{"name": "mine", "columns": columns}])
    outcome = run("sql", "DESCRIBE mine", "--store", str(store))
    assert [line.split(",")[:2] for line in outcome.stdout.splitlines()[1:]] == [
        ["a", "VARCHAR"],
        ["b_ns", "BIGINT"],
    ]
