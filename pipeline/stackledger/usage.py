"""Typer's complaints about the words given, in ours: one line and a hint.

The module of Typer's own exceptions is private and has moved before; only the
public base class is named here, and the fields are asked for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from stackledger.errors import UsageError, nearest

if TYPE_CHECKING:
    import typer

_PHRASES = (
    (r"Got unexpected extra argument\(s\) \((.*)\)", "unexpected argument"),
    (r"Option '(.*)' requires (?:an argument|\d+ arguments)", "option without its value"),
    (r"Option '(.*)' does not take a value", "option that takes no value"),
    (r"Missing argument '?(.*?)'?", "missing argument"),
    (r"Missing option '?(.*?)'?", "missing option"),
)


def usage_error(failure: typer.TyperException, command: str) -> UsageError:
    """Return Typer's `failure` as ours; `command` is what the words began with."""
    hint = f"{command} --help shows what it takes"
    option = getattr(failure, "option_name", None)
    if option is not None and hasattr(failure, "possibilities"):
        return UsageError("unknown option", option, hint=nearest(option, _options(failure)) or hint)
    # Typer sets the choices of a missing value below it, in lines of their own.
    message = failure.format_message().partition("\n")[0].rstrip(" .:")
    for pattern, what in _PHRASES:
        found = re.match(pattern + r"(?:\. .*)?$", message)
        if found:
            return UsageError(what, found.group(1), hint=hint)
    found = re.match(r"Invalid value for '?(.*?)'?: (.*)", message)
    if found:
        name, complaint = found.groups()
        return UsageError(f"wrong value for {name}", _refusal(failure, complaint), hint=hint)
    return UsageError(_lower(message), hint=hint)


def _options(failure: Any) -> list[str]:
    context = failure.ctx
    parameters = context.command.get_params(context) if context else ()
    return [word for one in parameters for word in (*one.opts, *one.secondary_opts)]


def _refusal(failure: BaseException, complaint: str) -> str:
    """Return the complaint with the refused value in front, once."""
    complaint = complaint.removeprefix("Value error, ")
    errors = getattr(failure.__cause__, "errors", None)
    given = repr(errors()[0].get("input")) if errors else ""
    if not given or given in complaint:
        return complaint
    return f"{given}, {_lower(complaint)}"


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
