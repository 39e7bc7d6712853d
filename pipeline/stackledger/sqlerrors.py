"""DuckDB's complaints as ours: one line, the position, and the right exit code."""

from __future__ import annotations

import re

from stackledger.errors import StackledgerError, UsageError

# The statement itself is wrong; everything else went wrong while it ran.
_STATEMENT = ("Parser Error", "Binder Error", "Catalog Error", "Syntax Error")
_PLACE = re.compile(r"LINE (\d+): (.*)\n( *)\^")


def explain(failure: Exception) -> StackledgerError:
    """Return a duckdb.Error as the error to raise: UsageError where the statement is wrong.

    Raises KeyboardInterrupt where Ctrl-C was the cause.
    """
    if is_interruption(failure):
        raise KeyboardInterrupt from failure
    message = str(failure)
    kind = UsageError if message.startswith(_STATEMENT) else StackledgerError
    return kind("SQL", _head(message) + _position(message))


def is_duckdb(failure: BaseException) -> bool:
    """Tell whether DuckDB raised it, without loading DuckDB."""
    kinds = {f"{kind.__module__}.{kind.__name__}" for kind in type(failure).__mro__}
    return "_duckdb.Error" in kinds


def is_interruption(failure: BaseException) -> bool:
    """Tell whether it is DuckDB's way to say that Ctrl-C ended a query."""
    if type(failure) is RuntimeError:
        return str(failure) == "Query interrupted"
    return is_duckdb(failure) and type(failure).__name__ == "InterruptException"


def _head(message: str) -> str:
    return " ".join(message.partition("\n\n")[0].split())


def _position(message: str) -> str:
    place = _PLACE.search(message)
    if place is None:
        return ""
    number, text, indent = place.groups()
    column = len(indent) - len(f"LINE {number}: ") + 1
    return f" (line {number}, column {column}: {text.strip()[:60]})"
