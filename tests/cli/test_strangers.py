"""A stranger's capture: it runs no code, leads to no other file, and takes no more memory."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

READ = (["show"], ["query", "losses"], ["sql", "FROM loss"], ["attribute"], ["cost"], ["report"])
SECRET = "the-content-of-another-file"
MOST = 2**63 - 1
LOSS = {"table": "x", "produced": 1}
DISK = {"name": "a", "major": 0, "minor": 0, "rotational": False}
ADDRESS_SPACE_BYTES = 6 << 30


def change(folder, **fields):
    path = folder / "capture.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def one_line(outcome, words=()):
    """Assert that one error line was said, whatever its hint, and nothing was answered."""
    lines = outcome.stderr.splitlines()
    told = [line for line in lines if not line.startswith("stackledger: warning: ")]
    assert told, words
    assert told[0].startswith("stackledger: error: "), (words, told)
    assert len(told) <= 2, words
    assert all(line.startswith("hint: ") for line in told[1:])
    assert (outcome.code in (1, 2, 4), outcome.stdout) == (True, ""), words
    assert "unexpected" not in outcome.stderr


@pytest.mark.parametrize(
    "fields",
    [
        {"probes": "x"},
        {"losses": [{"table": "request", "produced": 1.5, "received": 0, "lost": 0}]},
        {"topology": []},
        {"options": {"a": {"b": 1}}},
        {"started_ns": 10**30},
        {"machine": {"cpus": 1e400, "memory_bytes": 0, "arch": "x"}},
        {"own_tables": [{"name": "../../etc", "columns": []}]},
        {"own_tables": [{"name": "a/../b", "columns": [{"name": "x", "kind": "int64"}]}]},
        {"own_tables": [{"name": "mine", "columns": [{"name": "x\n", "kind": "int64"}]}]},
        {"schema_version": 10**9},
    ],
    ids=str,
)
def test_a_manifest_with_values_of_other_kinds(fields, own):
    run, folder = own
    change(folder, **fields)
    for words in READ:
        one_line(
            run(*words, str(folder)) if words[0] != "sql" else run("sql", str(folder), "FROM loss"),
            words,
        )


@pytest.mark.parametrize(
    "fields",
    [
        {"started_ns": 2**63 - 1, "ended_ns": -(2**63)},
        {"started_ns": -(2**63), "ended_ns": 2**63 - 1},
        {"machine": {"cpus": 2**62, "memory_bytes": -1, "arch": "../x"}},
        {"id": "../../x", "name": "..", "host": "/etc"},
        {"id": "\u001b[2J", "name": "<script>", "host": "=1+1"},
        {"losses": [{**LOSS, "received": -(2**63), "lost": MOST, "undecodable": MOST}]},
        {"clock": [{"boottime_ns": -1, "realtime_ns": 2**63 - 1, "error_ns": 0}]},
        {"state": "recording", "writer_pid": -(2**63)},
        {"topology": {"disks": [{**DISK, "dev": 2**40, "size_bytes": -1}]}},
    ],
    ids=str,
)  # fmt: skip
def test_a_manifest_with_numbers_and_names_that_cannot_be(fields, own, tmp_path, monkeypatch):
    run, folder = own
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    change(folder, **fields)
    for words in READ:
        given = ["-o", str(tmp_path / "page.html")] if words == ["report"] else []
        place = [words[0], str(folder), *words[1:]] if words[0] == "sql" else [*words, str(folder)]
        done = run(*place, *given)
        assert "unexpected" not in done.stderr, (words, done.stderr)
        assert "Traceback" not in done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        if done.code:
            one_line(done, words)
    assert set(tmp_path.iterdir()) - before <= {tmp_path / "page.html"}


def test_a_manifest_that_is_nested_deep_or_large(own):
    run, folder = own
    path = folder / "capture.json"
    path.write_text('{"schema_version": 1, "own_tables": ' + "[" * 100_000 + "]" * 100_000 + "}")
    one_line(run("show", str(folder)))
    with path.open("wb") as file:
        file.truncate(1 << 30)
    outcome = run("show", str(folder))
    one_line(outcome)
    assert outcome.stderr.startswith("stackledger: error: the file is too large: ")


def _link(path, target):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize("what", ["manifest", "part", "table", "links", "prediction"])
def test_links_lead_nowhere(what, own, tmp_path):
    run, folder = own
    other = tmp_path / "other"
    other.mkdir()
    secret = other / "part-000001.parquet"
    pq.write_table(pa.table({"comm": [SECRET], "pid": [1], "ts_ns": [1]}), secret)
    (other / "capture.json").write_text(json.dumps({"schema_version": 1, "id": SECRET}))
    (other / "predictions").mkdir()
    place, target = {
        "manifest": (folder / "capture.json", other / "capture.json"),
        "part": (folder / "process" / "part-000001.parquet", secret),
        "table": (folder / "exec", other),
        "links": (folder / "linked-x", other),
        "prediction": (folder / "predictions" / "x.json", other / "capture.json"),
    }[what]
    place.parent.mkdir(exist_ok=True)
    _link(place, target)
    words = ["report", str(folder), "-o", "-"] if what == "prediction" else ["show", str(folder)]
    outcome = run(*words)
    assert SECRET not in outcome.stdout + outcome.stderr
    if what == "prediction":  # the page is made without it
        assert "without its predictions: a link where a file should be: " in outcome.stderr
        return
    one_line(outcome)
    assert "link" in outcome.stderr or "not a file" in outcome.stderr


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder"])
def test_a_part_that_is_no_file_does_not_hang(kind, own):
    run, folder = own
    part = folder / "process" / "part-000001.parquet"
    part.unlink()
    if kind == "pipe":
        os.mkfifo(part)
    elif kind == "socket":
        short = f"/proc/self/fd/{os.open(part.parent, os.O_PATH)}"
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(f"{short}/{part.name}")
        os.close(int(short.rpartition("/")[2]))
    else:
        part.mkdir()
    one_line(run("show", str(folder)))


@pytest.mark.parametrize(
    "columns",
    [
        {"pid": ["x"], "ts_ns": ["y"]},
        {"pid": [[1, 2]], "ts_ns": [{"a": 1}]},
        {"other": [1]},
        {"pid": [2**40], "ts_ns": [2**62]},
        {"pid": [None], "ts_ns": [None], "comm": [b"\xff\xfe"]},
        {'x"; DROP VIEW request; --': [1], "pid": [1]},
    ],
    ids=str,
)
def test_parts_of_another_schema(columns, own):
    run, folder = own
    pq.write_table(pa.table(columns), folder / "process" / "part-000001.parquet")
    for words in (["show"], ["attribute"], ["query", "pidstat"]):
        done = run(*words, str(folder))
        assert "unexpected" not in done.stderr, (words, done.stderr)
        if done.code:
            one_line(done, words)


def test_names_of_files_and_folders_are_no_sql(own):
    """Quotes, brackets of a pattern, the sign of a partition, the end of a statement."""
    run, folder = own
    odd = folder.with_name("capture=a'b\"c[*]; DROP VIEW request; --")
    folder.rename(odd)
    asked = ("sql", str(odd), "SELECT count(*) > 0 AS some FROM process")
    done = run(*asked)
    assert (done.code, done.stdout) == (0, "some\nTrue\n")
    part = odd / "process" / "part-000001.parquet"
    part.rename(part.with_name("part-'1';[a-z]*?.parquet"))
    done = run(*asked)  # no number, no part
    assert (done.code, done.stdout) == (0, "some\nFalse\n")


@pytest.fixture
def bounded():
    """Return a function that runs a command with little memory to ask for."""

    def call(*argv):
        return subprocess.run(
            ["prlimit", f"--as={ADDRESS_SPACE_BYTES}", sys.executable, "-m", "stackledger", *argv],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    return call


def test_a_part_that_unpacks_to_very_much_is_bounded(own, bounded):
    """A gigabyte of one byte, in a few kilobytes; a hundred million rows in as many."""
    _, folder = own
    part = folder / "process" / "part-000001.parquet"
    text = pa.array(["a" * (1 << 20)] * 1000)
    pq.write_table(pa.table({"comm": text, "pid": pa.array([1] * 1000, pa.int32())}), part,
                   compression="zstd", use_dictionary=False)  # fmt: skip
    assert part.stat().st_size < 1 << 20
    done = bounded("sql", str(folder), "SELECT sum(length(comm)) AS n FROM process")
    assert (done.returncode, done.stdout) == (0, f"n\n{1000 << 20}\n"), done.stderr
    done = bounded("sql", str(folder), "SELECT list(comm) AS n FROM process, range(20)")
    assert done.returncode == 1
    assert done.stderr.startswith("stackledger: error: ")
    assert "Traceback" not in done.stderr
