"""`stackledger scrub`: values are gone for good, the rest answers as before."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stackledger.manifest import load

SECRET = "s3cret-value"


@pytest.fixture
def holding(own):
    """Return `run` and the folder of a capture that holds a secret in several places."""
    run, folder = own
    part = folder / "process" / "part-000001.parquet"
    rows = pq.read_table(part)
    told = pa.array([f"mysql -p {SECRET}"] * len(rows))
    rows = rows.set_column(rows.column_names.index("cmdline"), "cmdline", told)
    pq.write_table(rows, part)
    part = folder / "request" / "part-000001.parquet"
    rows = pq.read_table(part)
    told = pa.array([SECRET.encode()] * len(rows), pa.binary())
    rows = rows.set_column(rows.column_names.index("payload"), "payload", told)
    pq.write_table(rows, part)
    (folder / "linked-0123").mkdir()
    (folder / "linked-0123" / "requests.parquet").write_text(SECRET)
    (folder / "process" / "part-000009.parquet.broken").write_text(SECRET)
    path = folder / "capture.json"
    manifest = json.loads(path.read_text())
    manifest["command"] = {"argv": ["curl", SECRET], "exit_code": 0}
    manifest["probes"][0]["undecodable"] = [SECRET]
    path.write_text(json.dumps(manifest))
    return run, folder


def held(folder):
    """Return the files in which the secret is, columns unpacked."""
    found = set()
    for path in folder.rglob("*"):
        if path.suffix == ".parquet" and path.parent.name[:6] != "linked":
            for column in pq.read_table(path).columns:
                if SECRET in str(column.to_pylist()):
                    found.add(path.name)
        if path.is_file() and SECRET.encode() in path.read_bytes():
            found.add(path.name)
    return found


def test_what_is_scrubbed_is_nowhere(holding):
    run, folder = holding
    assert held(folder)
    before = run("query", "ledger", str(folder)).stdout
    done = run("scrub", str(folder))
    assert (done.code, done.stderr) == (0, "")
    assert "request.payload: " in done.stdout
    assert "process.cmdline: " in done.stdout
    assert held(folder) == set()
    told = load(folder).redaction
    assert {"request.payload", "process.cmdline"} <= set(told.scrubbed)
    assert told.scrubbing == []
    assert not [*folder.glob("linked-*"), *folder.rglob("*.broken"), *folder.rglob("*.tmp")]
    after = run("query", "ledger", str(folder))
    assert (after.code, after.stderr) == (0, "")
    assert after.stdout.count("\n") == before.count("\n")
    again = run("scrub", str(folder))
    assert again == (0, "", "nothing to remove: these columns hold no value\n")


def test_only_what_is_named(holding):
    run, folder = holding
    times = {path: path.stat().st_mtime_ns for path in folder.glob("process/part-*.parquet")}
    done = run("scrub", str(folder), "--column", "process.cmdline", "--table", "connection")
    assert done.code == 0
    assert "request.payload" not in done.stdout
    assert "part-000001.parquet" in held(folder)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    rows = run("sql", str(folder), "SELECT count(cmdline) AS n, count(*) > 0 AS m FROM process")
    assert rows.stdout == "n,m\n0,True\n"


def test_one_that_could_not_write_is_seen_and_done_again(holding):
    """Where a file may have so many bytes: enough for the processes, not for the requests."""
    run, folder = holding
    largest = max(path.stat().st_size for path in folder.glob("process/part-*.parquet"))
    limit = max(largest, (folder / "capture.json").stat().st_size) + 4096
    assert (folder / "request" / "part-000001.parquet").stat().st_size > 2 * limit
    words = ("--column", "process.cmdline", "--column", "request.payload")
    program = (sys.executable, "-m", "stackledger", "scrub", str(folder))
    done = subprocess.run(
        ["prlimit", f"--fsize={limit}", *program, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("stackledger: error: cannot scrub the capture: ")
    told = load(folder).redaction
    assert told.scrubbing == ["process.cmdline", "request.payload"]
    assert told.scrubbed == []
    assert "part-000001.parquet" in held(folder)
    assert run("show", str(folder)).code == 0
    assert run("scrub", str(folder)).code == 0
    assert held(folder) == set()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--table", "proces"], "no such table: proces"),
        (["--column", "process.cmdlin"], "no such column of texts: process.cmdlin"),
        (["--column", "process.pid"], "no such column of texts: process.pid"),
        (["--column", "../x.y"], "no such column of texts: ../x.y"),
        (["--table", "host_cpu"], "the table has no texts: host_cpu"),
    ],
)
def test_what_cannot_be_scrubbed(words, line, own):
    run, folder = own
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = run("scrub", str(folder), *words)
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"stackledger: error: {line}")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_broken_part_stops_it_before_anything_is_claimed(holding):
    run, folder = holding
    (folder / "process" / "part-000002.parquet").write_bytes(b"PAR1 broken")
    done = run("scrub", str(folder))
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr.startswith("stackledger: error: a part of the capture cannot be read: ")
    assert load(folder).redaction.scrubbed == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_it_stays_its_owners(holding):
    run, folder = holding
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 1234, 1235)
    assert run("scrub", str(folder)).code == 0
    parts = list(folder.rglob("part-*.parquet"))
    assert {(path.stat().st_uid, path.stat().st_gid) for path in parts} == {(1234, 1235)}
