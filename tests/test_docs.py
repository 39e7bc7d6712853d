"""What the documentation tells people to type exists; what needs no root is run.

A fenced block marked `sh`, and a command in backticks, is checked word by word
against the command line and the justfile. One marked `sh run` is also executed,
in an empty folder; and every command that reads a capture is, over the replayed
recording of the demo. One marked `sh live` builds on those before it, and on what
they recorded: a live test runs it (tests/live/test_finops_guide.py,
test_incident_guide.py).
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from stackledger import cli
from stackledger.analysis import now
from stackledger.usage import usage_error

CHECKOUT = Path(__file__).resolve().parent.parent
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\S+)?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = {"sh", "bash", "shell", "console"}
INLINE = re.compile(r"`((?:sudo )?stackledger [^`]+)`")
READING = {
    "attribute", "captures", "cost", "diagnose", "diff", "query", "report", "show", "sql",
}  # fmt: skip
# What the pages call a capture.
CAPTURES = {"AFTER", "BEFORE", "CAPTURE", "demo", "incident", "tuesday"}


def blocks(text: str) -> list[tuple[str, str]]:
    """Return (marks, script) of every fenced shell block."""
    return [
        (marks.strip(), script)
        for language, marks, script in FENCE.findall(text)
        if language in SHELL
    ]


def commands(script: str) -> list[list[str]]:
    """Return the words of each command in a script, those in $(…) too."""
    pending = re.sub(r"\\\n\s*", " ", script)
    found = []
    while inner := re.search(r"\$\(([^()]*)\)", pending):
        found += commands(inner.group(1))
        pending = pending.replace(inner.group(0), "SUBSTITUTED")
    for line in pending.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if not set(word) <= set("|&;"):
                words.append(word)
            elif words:
                found.append(_bare(words))
                words = []
    return found


def _bare(words: list[str]) -> list[str]:
    """Drop a prompt, sudo, variables and redirections."""
    while words and (words[0] in {"$", "#", "sudo"} or re.match(r"[A-Z_]+=", words[0])):
        words = words[1:]
    for index, word in enumerate(words):
        if word in {">", ">>", "<"}:
            return words[:index]
    return words


def complaint(words: list[str]) -> str | None:
    """Return what is wrong with a documented command, None where nothing is."""
    program = Path(words[0]).name if words else ""
    if program == "just":
        recipes = re.findall(
            r"^([a-z][\w-]*)[^:\n]*:(?!=)", (CHECKOUT / "justfile").read_text(), re.MULTILINE
        )
        return None if words[1:2] and words[1] in recipes else f"no recipe: {words[1:2]}"
    if program == "stackledger" and words[1:]:
        return _parse(words[1:])
    return None


def _parse(words: list[str]) -> str | None:
    command = typer.main.get_command(cli.app)
    context, name, rest = None, "stackledger", list(words)
    try:
        while True:
            context = command.make_context(name, rest, parent=context)
            if not isinstance(command, TyperGroup) or not context._protected_args:
                return None
            name, command, rest = command.resolve_command(
                context, [*context._protected_args, *context.args]
            )
    except (typer.Exit, SystemExit):
        return None
    except typer.TyperException as failure:
        return str(usage_error(failure, "stackledger"))
    except cli.StackledgerError as failure:
        return str(failure)


def _cases(wanted: str | None) -> list:
    return [
        pytest.param(script, id=f"{page.relative_to(CHECKOUT)}:{number}")
        for page in PAGES
        for number, (marks, script) in enumerate(blocks(page.read_text()), start=1)
        if wanted is None or wanted in marks.split()
    ]


@pytest.mark.parametrize("script", _cases(None))
def test_every_documented_command_exists(script):
    assert [(words, complaint(words)) for words in commands(script) if complaint(words)] == []


def _readings() -> list:
    """Return every documented command that reads a capture, once, about the last one."""
    found = {}
    for page in PAGES:
        text = page.read_text()
        here = (script for marks, script in blocks(text) if "live" not in marks.split())
        scripts = [*here, *INLINE.findall(text)]
        for words in (words for script in scripts for words in commands(script)):
            if words[:1] == ["stackledger"] and words[1] in READING and "…" not in words:
                asked = ["last" if word in CAPTURES else word for word in words]
                found.setdefault(" ".join(asked), asked[1:])
    found.pop("stackledger sql", None)  # the command is named, not given
    return [pytest.param(words, id=name) for name, words in found.items()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_a_sentence_exists(page):
    told = [words for line in INLINE.findall(page.read_text()) for words in commands(line)]
    assert [(words, complaint(words)) for words in told if complaint(words)] == []


@pytest.mark.parametrize("words", _readings())
def test_every_documented_command_over_a_capture_answers(
    words, replayed, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STACKLEDGER_STORE", str(replayed.store))
    code = cli.main(words)
    streams = capsys.readouterr()
    # The demo's recording does not hold every signal: an empty answer says so. Gates hold.
    quiet = ("--probe", ": passed, ")
    told = [line for line in streams.err.splitlines() if not any(word in line for word in quiet)]
    assert code == 0
    assert all(line.startswith("not recorded in this capture: ") for line in told)
    assert streams.out.strip()


@pytest.mark.parametrize("script", _cases("run"))
def test_documented_commands_run(script, tmp_path):
    program = tmp_path / "bin/stackledger"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m stackledger "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(CHECKOUT / "pipeline"),
            "STACKLEDGER_STORE": str(tmp_path / "store"),
        },
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_has_the_two_lines():
    lines = [script.strip() for _, script in blocks((CHECKOUT / "README.md").read_text())]
    install = "python3 -m pip install -q --target .tools uv rust-just && .tools/bin/just "
    assert lines[:2] == [install + "demo", install + "test"]


@pytest.mark.parametrize(
    ("script", "wrong"),
    [
        ("stackledger doctor", False),
        ("sudo stackledger doctor --format json > doctor.json", False),
        ("$ STACKLEDGER_STORE=/x stackledger doctor | head -3", False),
        ("echo $(stackledger doctor)", False),
        ("stackledger --version && just test", False),
        ("stackledger doctr", True),
        ("stackledger doctor --fromat json", True),
        ("stackledger doctor extra", True),
        ("stackledger model check FILE", False),
        ("stackledger model chek FILE", True),
        ("stackledger model check --fromat json FILE", True),
        ("stackledger model", True),
        ("echo $(stackledger nope)", True),
        ("true && just nope", True),
        ("true | \\\n  stackledger nope", True),
    ],
)
def test_the_check_finds_what_is_wrong(script, wrong):
    assert any(complaint(words) for words in commands(script)) is wrong


ASKED = re.compile(r"^```sql\n(.*?)^```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUESTIONS = CHECKOUT / "docs/guides/sql.md"


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        pytest.param(*asked, id=f"{number}")
        for number, asked in enumerate(ASKED.findall(QUESTIONS.read_text()), start=1)
    ],
)
def test_every_question_in_sql_has_the_answer_that_the_guide_shows(
    statement, answer, replayed, monkeypatch, capsys
):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("STACKLEDGER_STORE", str(replayed.store))
    assert cli.main(["sql", "last", statement.strip(), "--format", "table"]) == 0
    assert capsys.readouterr().out == answer


def test_every_question_in_sql_is_asked():
    text = QUESTIONS.read_text()
    assert len(ASKED.findall(text)) == text.count("```sql\n") > 10


RUNBOOK = CHECKOUT / "docs/runbook.md"


def _rows(text: str) -> list[list[str]]:
    """Return the cells of every row of a page's tables."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_runbook_has_every_rule_of_diagnose_once():
    rules = sorted(one.stem for one in (CHECKOUT / "queries/diagnose").glob("*.sql"))
    told = [row[4].strip("` ") for row in _rows(RUNBOOK.read_text()) if len(row) == 5]
    assert sorted(set(told) - {"rule"}) == rules
    assert len(told) - told.count("rule") == len(rules)


def test_the_runbook_has_the_query_of_every_tool_and_what_records_it():
    asked = {
        name: recorded.strip("`")
        for _, queries, recorded in (row for row in _rows(RUNBOOK.read_text()) if len(row) == 3)
        for name in re.findall(r"`(\w+)`", queries)
    }
    assert sorted(asked) == sorted(one.name for one in now.live_queries())
    needed = {name: now.probes_of(name, {}) or ("always",) for name in asked}
    wrong = {name: needed[name] for name, told in asked.items() if told not in needed[name]}
    assert wrong == {}
