"""`stackledger repair`: a capture that was cut off becomes a finished one."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from stackledger.capture.repair import CUT_OFF


@pytest.fixture
def torn(replayed, tmp_path):
    """Give a copy of the recording as a kill would have left it, and its store."""
    shutil.copytree(replayed.store, tmp_path / "store")
    folder = tmp_path / "store" / replayed.folder.relative_to(replayed.store)
    change(folder, state="recording", ended_ns=0, losses=[], writer_pid=2**22 - 1)
    (folder / "request" / ".part-000099.parquet.tmp").write_bytes(b"half")
    (folder / ".linked-0123.4.tmp").mkdir()
    return tmp_path / "store", folder


def told(folder):
    return json.loads((folder / "capture.json").read_text())


def change(folder, **fields):
    (folder / "capture.json").write_text(json.dumps({**told(folder), **fields}))


def test_a_cut_off_capture_is_finished(torn, run):
    store, folder = torn
    before = run("query", "ledger", "--store", str(store)).stdout
    done = run("repair", "--store", str(store))
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith("demo: ")
    assert done.stdout.endswith("; 2 unfinished files removed, 0 set aside\n")
    found = told(folder)
    assert (found["state"], found["error"], found["writer_pid"]) == ("failed", CUT_OFF, 0)
    assert found["ended_ns"] > found["started_ns"]
    counted = {one["table"]: one["received"] for one in found["losses"]}
    for table in ("request", "call", "block_io"):
        rows = run("sql", "last", f"SELECT count(*) AS n FROM {table}", "--store", str(store))
        assert rows.stdout == f"n\n{counted[table]}\n"
    assert {one["lost"] for one in found["losses"]} == {None}
    assert not list(folder.rglob("*.tmp"))
    after = run("query", "ledger", "--store", str(store))
    assert after.stdout == before
    assert "its recording failed: cut off" in after.stderr
    again = run("repair", "--store", str(store))
    assert (again.code, again.stderr) == (0, "nothing to repair: its recording ended (failed)\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_under_sudo_it_is_the_askers_in_the_end(torn, run, monkeypatch):
    store, folder = torn
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "1235")
    assert run("repair", "--store", str(store)).code == 0
    assert {path.stat().st_uid for path in (folder, *folder.rglob("*"))} == {1234}


@pytest.mark.parametrize("damage", ["empty", "half", "torn"])
def test_a_part_that_cannot_be_read_is_set_aside(damage, torn, run):
    store, folder = torn
    part = min((folder / "block_io").glob("part-*.parquet"))
    whole = part.read_bytes()
    middle = len(whole) // 2
    part.write_bytes(
        {
            "empty": b"",
            "half": whole[:middle],
            "torn": whole[:4] + bytes(middle) + whole[4 + middle :],
        }[damage]
    )
    assert run("query", "biosnoop", "--store", str(store)).code == 1
    done = run("repair", "--store", str(store))
    aside = part.with_name(f"{part.name}.broken")
    assert (done.code, done.stderr) == (
        0,
        f"stackledger: warning: cannot be read, set aside: {aside}\n",
    )
    assert aside.exists()
    assert run("query", "biosnoop", "--store", str(store)).code == 0
    assert run("attribute", "--store", str(store)).code == 0


@pytest.mark.parametrize("broken", [False, True])
def test_what_a_merged_part_stands_for_is_counted_once(broken, torn, run):
    store, folder = torn
    (first,) = (folder / "block_io").glob("part-*.parquet")
    merged = first.with_name("part-000001-000002.parquet")
    shutil.copy(first, merged)
    count = ("sql", "last", "SELECT count(*) AS n FROM block_io", "--store", str(store))
    before = run(*count).stdout
    if broken:
        merged.write_bytes(b"no Parquet")
    done = run("repair", "--store", str(store))
    aside = merged.with_name(f"{merged.name}.broken")
    assert done.code == 0
    assert done.stderr == (
        f"stackledger: warning: cannot be read, set aside: {aside}\n" if broken else ""
    )
    assert (first.exists(), merged.exists()) == (broken, not broken)
    assert run(*count).stdout == before


def test_a_whole_capture_is_left_alone(replayed, run):
    before = (replayed.folder / "capture.json").read_bytes()
    done = run("repair", "--store", str(replayed.store))
    assert (done.code, done.stdout) == (0, "")
    assert done.stderr == "nothing to repair: its recording ended (complete)\n"
    assert (replayed.folder / "capture.json").read_bytes() == before


def test_one_that_is_being_written_is_refused(torn, run, failed):
    store, folder = torn
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    anchor = {"boottime_ns": 2**62, "realtime_ns": 1, "error_ns": 0}
    change(folder, writer_pid=os.getpid(), boot_id=boot, clock=[anchor])
    done = run("repair", "--store", str(store))
    failed(
        done,
        2,
        f"it is still being written: {folder}",
        "end it: Ctrl-C where it was started",
    )
    assert told(folder)["state"] == "recording"
