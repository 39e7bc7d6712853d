"""What a short run of bpftrace is believed to have said."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from stackledger.capture import trial
from stackledger.capture.bpftrace import Bpftrace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("rows", "padding"),
    [
        ([[110, 110, 7], [24, 24, 110]], 0),
        ([[110, 7, 110], [24, 110, 24]], 16),
        ([[110, 110, 7], [24, 7, 24]], None),  # neither is right every time
        ([[110, 110, 7], [110, 110, 7]], None),  # one kind of call: a coincidence
        ([], None),
    ],
)
def test_a_padding_has_to_be_right_every_time(rows, padding):
    assert trial.agreed_padding(rows) == padding


def _fake(folder: Path, script: str) -> Bpftrace:
    program = folder / "bpftrace"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Bpftrace((str(program),), (0, 17, 0))


def test_announcing_is_not_attaching(tmp_path):
    """bpftrace says "attached_probes" first, and may still fail."""
    bpftrace = _fake(
        tmp_path,
        """echo '{"type": "attached_probes", "data": {"probes": 1}}'
        echo "ERROR: Error attaching probe: 'kprobe:x'" >&2; exit 255""",
    )
    assert trial.attach(bpftrace, "x", "kprobe:x {}") == "Error attaching probe: 'kprobe:x'"


def test_a_stubborn_bpftrace_is_killed_with_its_children(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "ATTACH_LIMIT_S", 0.2)
    monkeypatch.setattr(trial, "_STOP_GRACE_S", 0.2)
    bpftrace = _fake(tmp_path, f"trap '' INT; echo $$ >{tmp_path}/pid; sleep 60 & sleep 60")
    begun = time.monotonic()
    assert trial.attach(bpftrace, "x", "x") == "did not attach within 0 s"
    assert time.monotonic() - begun < 5
    group = int((tmp_path / "pid").read_text())
    # Killed: on a busy machine they may take a moment to go.
    while alive := _alive(group):
        assert time.monotonic() - begun < 20, alive
        time.sleep(0.05)


def _alive(group: int) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE and _group(process.pid) == group
    ]


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def test_a_flood_of_complaints_does_not_block_it(tmp_path):
    bpftrace = _fake(tmp_path, "head -c 1000000 /dev/zero | tr '\\0' '\\n' >&2; echo ERROR: x >&2")
    assert trial.attach(bpftrace, "x", "x") == "x"
