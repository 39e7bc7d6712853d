"""Turns a fault in a cost model into one line: file, line, field, what is accepted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from stackledger.analysis.tomlpath import line_of, steps
from stackledger.errors import UsageError, nearest

if TYPE_CHECKING:
    from pathlib import Path

_PARTS = re.compile(r"^(?P<message>.*?)(?: - at `(?P<path>\$[^`]*)`)?$", re.DOTALL)
_FIELD = re.compile(r"^Object (?:contains unknown|missing required) field `(?P<name>[^`]*)`")
_KIND = re.compile(r"^Expected `(?P<wanted>[^`]*)`, got `(?P<got>[^`]*)`")
_OWN = re.compile(r"^(?P<name>[a-z_]+): (?P<message>.*)$", re.DOTALL)
_KINDS = {
    "int": "a whole number",
    "decimal": "a number",
    "str": "a text in quotes",
    "date": "a date, as 2026-11-23",
    "array": "tables, each under its own [[name]]",
    "object": "a table, under [name] or in braces",
}


def explain(
    failure: msgspec.ValidationError, path: Path, text: str, root: type[msgspec.Struct]
) -> UsageError:
    """Return the validation error as one that names the line and what is accepted."""
    parts = _PARTS.match(str(failure))
    message, where = (parts["message"], parts["path"] or "$") if parts else (str(failure), "$")
    place = steps(where)
    hint = None
    if found := _FIELD.match(message):
        struct = _type_at(root, place)
        known = [field.encode_name for field in msgspec.structs.fields(struct)]
        place = [*place, found["name"]]
        if "missing" in message:
            message = "missing"
            hint = _accepted(_type_at(root, place))
        else:
            message = "unknown field"
            guess = nearest(found["name"], known)
            hint = f"{guess + ' ' if guess else ''}accepted: {', '.join(known)}"
    elif found := _KIND.match(message):
        wanted = _KINDS.get(found["wanted"], found["wanted"])
        if found["wanted"] == "array" and get_args(_type_at(root, place))[:1] == (str,):
            wanted = "a list of texts in brackets"
        message = f"expected {wanted}, got {found['got']}"
    elif found := _OWN.match(message):
        place, message = [*place, found["name"]], found["message"]
    elif message.startswith("Invalid decimal"):
        message = f"expected {_KINDS['decimal']}"
    else:
        message = message.replace("`", "'").replace("Invalid enum value", "unknown value")
        hint = _accepted(_type_at(root, place))
    return at(UsageError(_dotted(place), message, hint=hint), path, text, place)


def at(failure: UsageError, path: Path, text: str, place: list[str | int]) -> UsageError:
    """Return the error with the file, and the line where it can be found."""
    line = line_of(text, place)
    where = f"{path}:{line}" if line else str(path)
    detail = failure.what if failure.value is None else f"{failure.what}: {failure.value}"
    return UsageError("the cost model is wrong", f"{where}: {detail}", hint=failure.hint)


def _dotted(place: list[str | int]) -> str:
    dotted = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return dotted.lstrip(".") or "the file"


def _type_at(root: Any, place: list[str | int]) -> Any:
    """Return the annotated type at a path of field names and indexes."""
    kind = root
    for step in place:
        if isinstance(step, int):
            kind = get_args(kind)[0]
            continue
        names = {field.encode_name: field.name for field in msgspec.structs.fields(kind)}
        kind = get_type_hints(kind)[names[step]]
    return kind


def _accepted(kind: Any) -> str | None:
    if get_origin(kind) is Literal:
        return f"accepted: {', '.join(get_args(kind))}"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return f"accepted: {', '.join(f.encode_name for f in msgspec.structs.fields(kind))}"
    return None
