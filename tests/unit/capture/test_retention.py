"""What is too old goes, at one time for all tables; the account says how much that was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from stackledger import parts, store
from stackledger.capture.inventory import Inventory, Part
from stackledger.capture.partfile import Written
from stackledger.capture.repair import repair
from stackledger.capture.retention import Retention, account, bound
from stackledger.capture.upkeep import Pace
from stackledger.capture.writer import PartWriter, arrow_schema
from stackledger.manifest import Loss, Manifest, ProbeRun, load
from stackledger.reading import reading

S = 10**9


def manifest(**fields: Any) -> Manifest:
    return msgspec.convert(
        {
            "schema_version": 1,
            "id": "i",
            "name": "",
            "state": "recording",
            "host": "h",
            "kernel": "k",
            "boot_id": "b",
            "machine": {"cpus": 1, "memory_bytes": 1, "arch": ""},
            "stackledger": "",
            "bpftrace": "",
            "options": {},
            "filters": {},
            "topology": {},
            "probes": [],
            "started_ns": S,
            **fields,
        },
        Manifest,
    )


def rows(table: str, *times: int) -> pa.Table:
    return pa.Table.from_pylist([{"ts_ns": ts} for ts in times], schema=arrow_schema(table))


def recorded(folder: Path, seconds: int, kept: Retention, told: Manifest) -> PartWriter:
    """Record ten rows a second in two tables, a process a second, and host counters."""
    writer = PartWriter(folder, Pace(fan_in=4, settled_s=0, kept=kept), told)
    for second in range(1, seconds + 1):
        times = range(second * S, (second + 1) * S, S // 10)
        writer.add("block_io", rows("block_io", *times))
        # A part of it spans several seconds: rows of it come late.
        writer.add("request", rows("request", *(ts - 3 * S for ts in times[:5]), *times[5:]))
        writer.add("process", rows("process", second * S))
        writer.grow("host_cpu", rows("host_cpu", second * S))
        writer.flush()
        writer._collect(wait=True)
    return writer


def shown(capture: store.Capture, table: str) -> list[int]:
    with store.connect(capture, with_views=False) as connection:
        found = connection.execute(f"SELECT ts_ns FROM {table} ORDER BY ALL").fetchall()
    return [row[0] for row in found]


@pytest.mark.parametrize("kept", [Retention(20 * S), Retention(None, 300_000)])
def test_what_is_shown_begins_at_one_time_and_is_whole_from_there(
    kept: Retention, tmp_path: Path
) -> None:
    told = manifest()
    writer = recorded(tmp_path, 90, kept, told)
    writer.close()
    told.losses = [
        Loss(table=name, produced=900, received=900, lost=0, undecodable=0)
        for name in ("block_io", "request")
    ]
    account(told, tmp_path)
    begin = told.kept_from_ns
    assert begin > 10 * S
    if kept.keep_ns is not None:
        assert 91 * S - 21.5 * S < begin <= 91 * S - 20 * S
    if kept.max_bytes is not None:
        assert parts.size_bytes(tmp_path) <= kept.max_bytes
        assert begin < 89 * S
    capture = store.Capture(tmp_path, told)
    every = [ts for second in range(1, 91) for ts in range(second * S, (second + 1) * S, S // 10)]
    assert shown(capture, "block_io") == [ts for ts in every if ts >= begin]
    late = [ts - 3 * S if at % 10 < 5 else ts for at, ts in enumerate(every)]
    assert shown(capture, "request") == sorted(ts for ts in late if ts >= begin)
    assert shown(capture, "process") == [second * S for second in range(1, 91)]
    assert shown(capture, "host_cpu") == [n * S for n in range(1, 91) if n * S >= begin]
    for loss in told.losses:
        assert loss.dropped == 900 - len(shown(capture, loss.table)) > 0
        assert loss.lost == 0
    # The manifest on disk says it too, and what it says is gone is gone.
    on_disk = load(tmp_path)
    assert (on_disk.kept_from_ns, on_disk.dropped) == (begin, told.dropped)
    for one in on_disk.dropped:
        assert parts.replaced(tmp_path / one.table, one.through) == []


def test_a_reader_keeps_what_its_manifest_speaks_of(tmp_path: Path) -> None:
    told = manifest()
    writer = recorded(tmp_path, 30, Retention(20 * S), told)
    hold = reading(tmp_path)
    capture = store.Capture(tmp_path, load(tmp_path), hold)
    before = shown(capture, "block_io")
    for second in range(31, 90):
        writer.add("block_io", rows("block_io", second * S))
        writer.flush()
        writer._collect(wait=True)
    assert told.kept_from_ns > capture.manifest.kept_from_ns > 0
    assert shown(capture, "block_io")[: len(before)] == before
    hold.release()
    writer.close()


def test_a_kill_between_the_manifest_and_the_removal_is_repaired(tmp_path: Path) -> None:
    told = manifest()
    hold = reading(tmp_path)  # nothing is removed
    writer = recorded(tmp_path, 60, Retention(20 * S), told)
    writer.abort()
    hold.release()
    run = ProbeRun(name="p", variant="", sha256="", tables=["block_io"], state="recording")
    cut_off = load(tmp_path)
    cut_off.probes = [run]
    done = repair(tmp_path, cut_off, 60 * S)
    assert done.removed > 0
    assert done.set_aside == []
    (loss,) = cut_off.losses
    assert (loss.received, loss.lost) == (600, None)
    visible = shown(store.Capture(tmp_path, load(tmp_path)), "block_io")
    assert loss.dropped == 600 - len(visible) > 0
    assert json.loads((tmp_path / "capture.json").read_text())["state"] == "failed"


def test_without_bounds_nothing_goes() -> None:
    inventory = Inventory()
    for second in range(1, 1000):
        inventory.add(Part("block_io", second, second, Written(1, 10**9, second * S, second * S)))
    assert bound(Retention(), inventory, inventory.size_bytes, S) is None


def test_the_newest_second_stays_however_small_the_bound(tmp_path: Path) -> None:
    told = manifest()
    recorded(tmp_path, 20, Retention(None, 1000), told).close()
    assert told.kept_from_ns <= 20 * S
    assert len(shown(store.Capture(tmp_path, told), "block_io")) >= 10
