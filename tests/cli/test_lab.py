"""`stackledger lab`: the list, and every way in which it does not even begin."""

from __future__ import annotations

import csv
import io
import os

import pytest

from stackledger.labs import programs


def test_the_list_has_every_lab_and_fits(run):
    outcome = run("lab")
    assert (outcome.code, outcome.stderr) == (0, "")
    names = [line.split()[0] for line in outcome.stdout.splitlines() if line[0] != " "]
    assert names[0] == "io-bottleneck"
    assert len(names) == 9
    assert max(map(len, outcome.stdout.splitlines())) <= 80
    rows = list(csv.DictReader(io.StringIO(run("lab", "--format", "csv").stdout)))
    assert [row["lab"] for row in rows] == names
    assert all("postgresql" in row["needs"] for row in rows if row["lab"] == "page-cache")


def test_what_is_missing_is_in_the_list(run, monkeypatch):
    monkeypatch.setattr(programs, "find_program", lambda name: None)
    outcome = run("lab")
    line = "missing: apt-get install --no-install-recommends nginx-light"
    assert line in " ".join(outcome.stdout.split())


def test_an_unknown_lab_is_wrong_usage(run):
    outcome = run("lab", "page-cahce")
    assert (outcome.code, outcome.stdout) == (2, "")
    assert "stackledger: error: no such lab: page-cahce" in outcome.stderr
    assert "hint: did you mean page-cache?" in outcome.stderr


@pytest.mark.parametrize("words", [("--for", "soon"), ("--for", "0s"), ("--keep", "/proc/none")])
def test_what_cannot_be_meant_is_wrong_usage(run, words, monkeypatch):
    from stackledger.labs import running

    monkeypatch.setattr(running, "check_host", lambda lab: None)
    outcome = run("lab", "io-bottleneck", *words)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith("stackledger: error: ")


def test_without_root_it_says_so_and_makes_nothing(run, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    outcome = run("lab", "io-bottleneck", "--keep", str(tmp_path / "kept"))
    assert (outcome.code, outcome.stdout) == (3, "")
    assert "bpftrace runs as root only" in outcome.stderr
    assert not (tmp_path / "kept").exists()


def test_a_missing_program_is_named_with_what_installs_it(run, monkeypatch, tmp_path):
    from stackledger.labs import running

    real = programs.find_program
    monkeypatch.setattr(running, "require", lambda: None)
    monkeypatch.setattr(
        programs, "find_program", lambda name: None if name == "haproxy" else real(name) or name
    )
    outcome = run("lab", "mesh-tax", "--keep", str(tmp_path / "kept"))
    assert (outcome.code, outcome.stdout) == (3, "")
    assert "programs that are not installed: haproxy" in outcome.stderr
    assert "hint: apt-get install --no-install-recommends haproxy" in outcome.stderr
    assert not (tmp_path / "kept").exists()
