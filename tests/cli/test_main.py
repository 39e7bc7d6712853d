"""What main() makes of wrong words and of everything that can go wrong below it."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from typing import Annotated

import pytest
import typer

from stackledger import __version__, cli
from stackledger.errors import CannotTraceError, StackledgerError

STACKLEDGER_HELP = "stackledger --help shows what it takes"
DOCTOR_HELP = "stackledger doctor --help shows what it takes"
FORMATS = "wrong value for --format: 'yaml' is not one of 'table', 'json'"


@pytest.fixture
def command(monkeypatch):
    """Return a function that makes `stackledger do [THING] [--count N]` run `body`."""

    def install(body):
        def do(thing: str = typer.Argument("-"), count: int = 1, command: list[str] | None = None):
            del count, command
            return body(thing)

        _install(monkeypatch, do)

    return install


def _install(monkeypatch, do):
    module = types.ModuleType("commands_of_a_test.do")
    module.do = do
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(cli, "COMMANDS", (("do", module.__name__, "Does it."),))


def _raise(failure):
    def body(_thing):
        raise failure

    return body


def test_version(run):
    assert run("--version") == (0, f"stackledger {__version__}\n", "")


def test_a_command_that_works(command, run):
    command(lambda thing: print(f"did {thing}"))
    assert run("do", "it") == (0, "did it\n", "")


def test_a_command_may_choose_its_exit_code(command, run):
    command(_raise(typer.Exit(42)))
    assert run("do").code == 42


@pytest.mark.parametrize(
    ("words", "line", "hint"),
    [
        (["doctr"], "unknown command: doctr", "did you mean doctor?"),
        (["xyzzy"], "unknown command: xyzzy", "stackledger --help lists the commands"),
        (["--versoin"], "unknown option: --versoin", "did you mean --version?"),
        (["doctor", "--fromat", "json"], "unknown option: --fromat", "did you mean --format?"),
        (["doctor", "--qqq"], "unknown option: --qqq", DOCTOR_HELP),
        (["doctor", "--format"], "option without its value: --format", DOCTOR_HELP),
        (["doctor", "it"], "unexpected argument: it", DOCTOR_HELP),
        (["doctor", "--format", "yaml"], FORMATS, DOCTOR_HELP),
        (["--debug=3", "doctor"], "option that takes no value: --debug", STACKLEDGER_HELP),
    ],
)
def test_wrong_words_are_one_line_a_hint_and_2(words, line, hint, run):
    assert run(*words) == (2, "", f"stackledger: error: {line}\nhint: {hint}\n")


def test_a_wrong_number_names_the_value(command, run):
    command(print)
    outcome = run("do", "--count", "many")
    assert outcome.code == 2
    assert outcome.stderr.startswith("stackledger: error: wrong value for --count: 'many', ")


def test_a_missing_argument_is_named(run, monkeypatch):
    def do(capture: Annotated[str, typer.Argument(metavar="CAPTURE")]):
        print(capture)

    _install(monkeypatch, do)
    assert run("do") == (
        2,
        "",
        (
            "stackledger: error: missing argument: CAPTURE\n"
            "hint: stackledger do --help shows what it takes\n"
        ),
    )


def test_a_failure_of_ours(command, run):
    command(_raise(CannotTraceError("no root", "user 7", hint="sudo it")))
    assert run("do") == (3, "", "stackledger: error: no root: user 7\nhint: sudo it\n")


def test_a_failure_without_value_and_hint(command, run):
    command(_raise(StackledgerError("it failed")))
    assert run("do") == (1, "", "stackledger: error: it failed\n")


def test_an_unexpected_failure_is_one_line_too(command, run):
    command(_raise(ZeroDivisionError("division\nby \x1b[31mzero")))
    assert run("do") == (
        1,
        "",
        (
            "stackledger: error: unexpected ZeroDivisionError: division\\x0aby \\x1b[31mzero\n"
            "hint: run it again with --debug for the traceback\n"
        ),
    )


@pytest.mark.parametrize("words", [["--debug", "do"], ["do", "--debug"]])
def test_debug_adds_the_traceback(words, command, run):
    command(_raise(ZeroDivisionError("by zero")))
    outcome = run(*words)
    assert outcome.code == 1
    assert "Traceback" in outcome.stderr
    assert "test_main.py" in outcome.stderr
    assert "stackledger: error: unexpected ZeroDivisionError: by zero\n" in outcome.stderr


def test_debug_behind_two_dashes_belongs_to_the_command(command, run):
    command(print)
    assert run("do", "--", "--debug") == (0, "--debug\n", "")


def test_ctrl_c_is_130(command, run):
    command(_raise(KeyboardInterrupt()))
    assert run("do") == (130, "", "")


def test_an_end_of_input_is_a_failure(command, run):
    command(_raise(EOFError()))
    outcome = run("do")
    assert outcome.code == 1
    assert outcome.stderr.endswith("stackledger: error: aborted\n")


def test_a_closed_pipe_is_no_failure():
    program = (
        "import sys, types, stackledger.cli as cli\n"
        "module = types.ModuleType('endless')\n"
        "def endless():\n"
        "    while True: print('y' * 1000)\n"
        "module.endless = endless\n"
        "sys.modules['endless'] = module\n"
        "cli.COMMANDS = (('endless', 'endless', ''),)\n"
        "sys.exit(cli.main(['endless']))\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert writer.stdout.readline() == b"y" * 1000 + b"\n"
    writer.stdout.close()
    with writer.stderr:
        assert (writer.stderr.read(), writer.wait(10)) == (b"", 0)


def test_a_terminal_without_unicode_gets_escapes():
    done = subprocess.run(
        [sys.executable, "-c", "from stackledger.cli import main; main(['--version']); print('├')"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "ascii"},
        check=True,
    )
    assert done.stdout.splitlines()[1] == b"\\u251c"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_offers_the_commands(shell):
    done = subprocess.run(
        [sys.executable, "-m", "stackledger"],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "_STACKLEDGER_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": "stackledger doc",
            "COMP_CWORD": "1",
            "_TYPER_COMPLETE_ARGS": "stackledger doc",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        },
    )
    assert "doctor" in done.stdout
