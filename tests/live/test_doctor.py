"""`stackledger doctor` on this host, and on it with one thing after the other taken away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from stackledger import catalog
from stackledger.capture import hooks, trial
from stackledger.capture.bpftrace import find
from stackledger.capture.preconditions import tracefs_mount
from stackledger.capture.program import build

PIPELINE = Path(__file__).resolve().parents[2] / "pipeline"


class Report(NamedTuple):
    """What doctor said."""

    code: int
    host: dict[str, dict[str, str]]
    signals: dict[str, dict[str, str]]
    stderr: str


def _doctor(
    *prefix: str, path: str | None = None, mark: str = "", words: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, sys.executable, "-m", "stackledger", "doctor", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={
            "PATH": os.environ["PATH"] if path is None else path,
            "PYTHONPATH": os.pathsep.join([str(PIPELINE), *sys.path]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            "STACKLEDGER_TEST": mark,
        },
    )


def examine(*prefix: str, path: str | None = None, mark: str = "") -> Report:
    done = _doctor(*prefix, path=path, mark=mark, words=("--format", "json"))
    report = json.loads(done.stdout)
    host, signals = ({one["name"]: one for one in report[group]} for group in ("host", "signals"))
    return Report(done.returncode, host, signals, done.stderr)


def test_every_signal_of_the_catalogue_is_tried_here(tmp_path):
    mark = str(tmp_path)
    report = examine(mark=mark)
    assert _programs_left(mark) == []
    assert report.code == 0
    assert report.stderr == ""
    assert set(report.signals) == {probe.name for probe in catalog.probes().values()}
    assert report.host["privileges"]["state"] == "ok"
    assert report.host["tracefs"]["state"] == "ok"
    assert report.host["bpftrace"]["found"] == f"{find()} at {find().command[0]}"
    offered = hooks.offered(find())
    for name, signal in report.signals.items():
        assert signal["state"] == catalog.probe(name, find().version, offered).grade.split()[0]


def test_the_page_fits_a_terminal():
    done = _doctor()
    lines = done.stdout.splitlines()
    assert max(len(line) for line in lines if not line.startswith("    $ ")) <= 80
    assert "\x1b" not in done.stdout


def _programs_left(mark: str) -> list[str]:
    return [
        process.info["name"]
        for process in psutil.process_iter(["name", "environ"])
        if mark in (process.info["environ"] or {}).values()
    ]


def test_without_root():
    # It may read every file, wherever the checkout is, and nothing else.
    read_all = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    report = examine("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *read_all)
    assert report.code == 3
    assert report.host["privileges"] == {
        "name": "privileges",
        "state": "unavailable",
        "found": "user 65534",
        "why": "bpftrace runs as root only",
        "remedy": 'sudo "$(command -v stackledger)" doctor',
    }
    assert {signal["state"] for signal in report.signals.values()} == {"unavailable"}
    assert report.stderr.startswith("stackledger: error: the ledger cannot run here: privileges:")
    assert report.stderr.splitlines()[1].startswith("hint: sudo ")


def test_root_without_capabilities():
    report = examine("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    assert report.code == 3
    assert report.host["privileges"]["found"] == "root, confined"
    assert "--privileged" in report.host["privileges"]["remedy"]


def test_without_bpftrace(tmp_path):
    report = examine(path=str(tmp_path))
    assert report.code == 3
    assert report.host["bpftrace"]["found"] == "not on PATH"
    assert "bpftrace" in report.host["bpftrace"]["remedy"]
    assert "bpftrace" in report.stderr


@pytest.mark.parametrize(
    ("script", "found", "why"),
    [
        ("echo bpftrace v0.16.0", "bpftrace v0.16.0", "bpftrace is too old"),
        ("echo something else", "something else", "bpftrace does not tell its version"),
        ("exit 127", "", "bpftrace does not tell its version"),
    ],
)
def test_with_a_bpftrace_that_will_not_do(script, found, why, tmp_path):
    fake = tmp_path / "bpftrace"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    report = examine(path=f"{tmp_path}:{os.environ['PATH']}")
    assert report.code == 3
    assert report.host["bpftrace"]["state"] == "unavailable"
    assert report.host["bpftrace"]["found"] == found
    assert report.host["bpftrace"]["why"] == why


def test_tracefs_is_mounted_where_it_is_missing():
    """In a mount namespace of its own, whose /sys nobody shares: the host keeps its mounts."""
    without = 'mount --make-rprivate /sys && umount -l /sys/kernel/tracing && exec "$@"'
    report = examine("unshare", "--mount", "--propagation=unchanged", "sh", "-c", without, "sh")
    assert report.host["tracefs"]["found"] == "/sys/kernel/tracing (mounted just now)"
    assert report.code == 0
    assert tracefs_mount(Path("/proc/self/mounts").read_text()) == "/sys/kernel/tracing"


def test_the_saved_registers_are_found():
    assert trial.register_padding(find()) in {0, 16}


def test_a_wrong_place_for_the_registers_is_noticed(monkeypatch):
    monkeypatch.setattr(trial, "_PADDINGS", (8, 24))
    assert trial.register_padding(find()) is None


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("tracepoint:sched:sched_switch { @ = count(); }", None),
        ("tracepoint:sched:no_such { }", "tracepoint not found: sched:no_such"),
        ("BEGIN { syntax", "syntax error"),
    ],
)
def test_a_dry_attach(program, reason):
    found = trial.attach(find(), "dry", build(program))
    assert found is None if reason is None else found.startswith(reason)
