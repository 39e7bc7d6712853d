"""Help appears at once: what is slow to import is imported by the command that needs it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import stackledger
from stackledger.cli import COMMANDS

PACKAGE = Path(stackledger.__file__).parent
HEAVY = {"duckdb", "polars", "pyarrow", "jinja2", "rich", "psutil", "msgspec", "vl_convert"}
PROBE = """
import sys
from stackledger.cli import main
code = main(sys.argv[1:])
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""


def _imported(*words: str, **environment: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(PACKAGE.parent), "PATH": "/usr/bin:/bin", **environment},
    )
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], *([name, "--help"] for name, _, _ in COMMANDS)]
)
def test_help_imports_nothing_heavy(words):
    imported = _imported(*words)
    assert "stackledger" in imported
    assert not imported & HEAVY


def test_the_probe_sees_a_heavy_import():
    probe = PROBE.replace("code = main", "import duckdb\ncode = main")
    done = subprocess.run(
        [sys.executable, "-c", probe, "--version"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(PACKAGE.parent), "PATH": "/usr/bin:/bin"},
    )
    assert "duckdb" in done.stderr.split()


@pytest.mark.parametrize("words", [["attribute"], ["diagnose"], ["query", "ledger"]])
def test_an_answer_on_a_terminal_draws_no_chart(replayed, words):
    assert "vl_convert" not in _imported(*words, STACKLEDGER_STORE=str(replayed.store))


def test_a_page_is_drawn_by_the_library(replayed):
    words = ["report", "--output", "-"]
    assert "vl_convert" in _imported(*words, STACKLEDGER_STORE=str(replayed.store))


def _sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_diagnostics_writes_to_standard_error(path):
    if path.name == "diagnostics.py":
        return
    written = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr == "stderr"
        and isinstance(node.value, ast.Name)
        and node.value.id == "sys"
    ]
    assert not written


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nobody_imports_click(path):
    """Typer carries its own: an exception of the other click ends in a traceback."""
    names = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert "click" not in names
