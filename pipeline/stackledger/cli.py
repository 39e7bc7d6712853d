"""The command line, and the only place that turns a failure into an exit code.

A command's module is imported when the command is used, never before: help
must appear at once, and every library for reading captures costs 60-90 ms.
"""

from __future__ import annotations

import errno
import io
import os
import re
import sys
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from stackledger import __version__, diagnostics
from stackledger.errors import StackledgerError, UsageError, nearest
from stackledger.sqlerrors import explain, is_duckdb, is_interruption
from stackledger.usage import usage_error

if TYPE_CHECKING:
    from collections.abc import Sequence

# (name, module, purpose) in the order in which a newcomer needs them. The
# function to run is the module's own name: commands/doctor.py has doctor().
COMMANDS: tuple[tuple[str, str, str], ...] = (
    ("demo", "stackledger.commands.demo", "The whole job on a shipped recording, or live."),
    ("doctor", "stackledger.commands.doctor", "What this host can trace, why not, and the remedy."),
    ("capture", "stackledger.commands.capture", "Record a live stack; needs root."),
    ("live", "stackledger.commands.live", "Print what happens now; stores nothing."),
    ("captures", "stackledger.commands.captures", "What the store holds."),
    ("show", "stackledger.commands.show", "One capture: tables, losses, layers; its schema."),
    ("repair", "stackledger.commands.repair", "Finish a capture whose recording was cut off."),
    ("scrub", "stackledger.commands.scrub", "Remove secrets that a capture may hold."),
    ("diagnose", "stackledger.commands.diagnose", "What is wrong, its evidence, what to do next."),
    ("attribute", "stackledger.commands.attribute", "Which layer and resource took the time."),
    ("diff", "stackledger.commands.diff", "Two captures or windows: what changed, and by chance?"),
    ("cost", "stackledger.commands.cost", "What a transaction cost; rows sum to the bill."),
    ("prices", "stackledger.commands.prices", "List prices and what volumes can do."),
    ("model", "stackledger.commands.model", "Write, check and describe cost models."),
    ("whatif", "stackledger.commands.whatif", "Other disks, CPUs, replicas: latency and price."),
    ("validate", "stackledger.commands.validate", "A prediction beside what came of it."),
    ("report", "stackledger.commands.report", "One self-contained HTML page."),
    ("export", "stackledger.commands.export", "Costs as a file: FOCUS 1.2, or for a spreadsheet."),
    ("lab", "stackledger.commands.lab", "Experiments: real servers, a real fault, its cure."),
    ("query", "stackledger.commands.query", "Run a named query, or list them."),
    ("sql", "stackledger.commands.sql", "Your own SQL over captures."),
)

_HELP = """Where the time of a request went, layer by layer, and what it cost.

Record a live stack with bpftrace, keep what was seen as Parquet, and read it
as a ledger: the parts of every request add up to its wall time.
"""


class _LazyGroup(TyperGroup):
    """Lists every command from the table and imports only the one that is used."""

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return [name for name, _, _ in COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        del ctx
        for name, module, purpose in COMMANDS:
            if name == cmd_name:
                return _load(name, module, purpose)
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        word = args[0]
        known = self.list_commands(ctx)
        if word not in known and not word.startswith("-"):
            hint = nearest(word, known) or "stackledger --help lists the commands"
            raise UsageError("unknown command", word, hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, purpose) for name, _, purpose in COMMANDS])

    def invoke(self, ctx: Any) -> Any:
        # Typer would answer a closed pipe with exit code 1 before main sees it.
        try:
            return super().invoke(ctx)
        except BrokenPipeError as gone:
            raise _ReaderGoneError from gone


class _ActionGroup(TyperGroup):
    """The actions of one command: `model init`, `model check`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args:
            raise UsageError("missing action", hint=f"one of: {', '.join(self.list_commands(ctx))}")
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            hint = nearest(args[0], known) or f"accepted: {', '.join(known)}"
            raise UsageError("unknown action", args[0], hint=hint)
        return super().resolve_command(ctx, args)


class _Command(TyperCommand):
    """Takes a metavar that has brackets of its own as it is."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        pieces = super().collect_usage_pieces(ctx)
        return [re.sub(r"^\[(\[.*)\](\.\.\.)?$", r"\1", piece) for piece in pieces]


class _ReaderGoneError(Exception):
    """Whoever read standard output has closed it, as `| head` does."""


def _load(name: str, module: str, purpose: str) -> Any:
    """Import one command's module and return its function as a Typer command.

    A module with ACTIONS is a group of them: (name, function, purpose) each.
    """
    loaded = import_module(module)
    actions = getattr(loaded, "ACTIONS", None)
    if actions is None:
        app = _app(add_completion=False)
        function = getattr(loaded, module.rpartition(".")[2])
        app.command(name, short_help=purpose, cls=_Command)(function)
    else:
        app = _app(add_completion=False, cls=_ActionGroup, help=purpose)
        for action, function, short in actions:
            app.command(action, short_help=short, cls=_Command)(function)
    return typer.main.get_command(app)


def _app(**settings: Any) -> typer.Typer:
    return typer.Typer(
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
        **settings,
    )


app = _app(cls=_LazyGroup, help=_HELP)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"stackledger {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="On an error, print the traceback too.")
    ] = False,
) -> None:
    del version, debug
    if context.invoked_subcommand is None:
        print(context.get_help())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (default: this process's) names; return its exit code."""
    words, debug = _take_debug(list(sys.argv[1:] if argv is None else argv))
    try:
        try:
            code = _run(words)
            sys.stdout.flush()
        except BrokenPipeError as gone:
            raise _ReaderGoneError from gone
    except _ReaderGoneError:
        _silence_stdout()
        code = 0
    except KeyboardInterrupt:
        code = diagnostics.INTERRUPTED_AGAIN
    except Exception as failure:  # noqa: BLE001 - the one place that may
        if is_interruption(failure):
            return diagnostics.INTERRUPTED_AGAIN
        shown = _explain(failure, words)
        if debug:
            traceback.print_exception(failure)
        diagnostics.error(shown)
        code = shown.exit_code
    return code


def _run(words: list[str]) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a character gets its escape, not a crash.
        sys.stdout.reconfigure(errors="backslashreplace")
    command = typer.main.get_command(app)
    try:
        result = command.main(words, prog_name="stackledger", standalone_mode=False)
    except SystemExit as end:  # shell completion ends so
        result = end.code
    return result if isinstance(result, int) else 0


def _take_debug(words: list[str]) -> tuple[list[str], bool]:
    """Split `--debug` off, wherever it stands before a `--`."""
    end = words.index("--") if "--" in words else len(words)
    own = [word for word in words[:end] if word != "--debug"]
    return own + words[end:], len(own) < end


def _explain(failure: Exception, words: Sequence[str]) -> StackledgerError:
    """Return what to print for any exception: one line, and a remedy."""
    if isinstance(failure, StackledgerError):
        return failure
    if isinstance(failure, typer.TyperException):
        return usage_error(failure, _command(words))
    if isinstance(failure, typer.Abort):
        return StackledgerError("aborted")
    if is_duckdb(failure):
        return explain(failure)
    if isinstance(failure, OSError) and failure.strerror:
        if failure.filename is None and failure.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            _silence_stdout()
            return StackledgerError("cannot write to standard output", failure.strerror)
        return StackledgerError(failure.strerror.lower(), failure.filename)
    return StackledgerError(
        f"unexpected {type(failure).__name__}",
        failure if str(failure) else None,
        hint="run it again with --debug for the traceback",
    )


def _command(words: Sequence[str]) -> str:
    """Return `stackledger NAME` where the words name a command, else `stackledger`."""
    names = {name for name, _, _ in COMMANDS}
    return " ".join(("stackledger", *(word for word in words[:1] if word in names)))


def _silence_stdout() -> None:
    """Point standard output elsewhere, or Python complains again when it exits."""
    try:
        target = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - a device
        os.dup2(nowhere.fileno(), target)
