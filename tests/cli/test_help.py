"""Every --help, compared with tests/cli/snapshots exactly; `just snapshots` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import stackledger.commands
from stackledger.cli import COMMANDS
from stackledger.commands import model

SNAPSHOTS = Path(__file__).parent / "snapshots"
NAMES = [name for name, _, _ in COMMANDS]
ACTIONS = [f"model {name}" for name, _, _ in model.ACTIONS]


@pytest.mark.parametrize("name", ["stackledger", *NAMES, *ACTIONS])
def test_help_is_the_reviewed_text(name, run):
    path = [] if name == "stackledger" else name.split()
    outcome = run(*path, "--help")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert max(map(len, outcome.stdout.splitlines())) <= 80

    snapshot = SNAPSHOTS / f"{name.replace(' ', '-')}.txt"
    if os.environ.get("STACKLEDGER_SNAPSHOTS") == "write":
        snapshot.write_text(outcome.stdout)
    assert outcome.stdout == snapshot.read_text()


def test_no_snapshot_outlives_its_command():
    assert {path.stem for path in SNAPSHOTS.glob("*.txt")} == {
        "stackledger",
        *NAMES,
        *(name.replace(" ", "-") for name in ACTIONS),
    }


def test_the_table_and_the_folder_name_the_same_commands():
    folder = Path(stackledger.commands.__path__[0])
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "asking", "common"}
    assert {module.rpartition(".")[2] for _, module, _ in COMMANDS} == files


def test_no_words_print_the_help(run):
    assert run() == run("--help")
