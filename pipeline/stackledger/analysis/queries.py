"""Runs a named query of `queries/reports` with its parameters checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stackledger.catalog import Query, queries
from stackledger.errors import StackledgerError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb

_PARAM = re.compile(r"([a-z_]+) (VARCHAR|BIGINT|DOUBLE) = (\S+) \(([^()]*)\)")
_ASSEMBLED = re.compile(r"\b(requests|calls|edge|tree|untraced)\b")


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a query: its type and default as the header gives them."""

    name: str
    kind: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Result:
    """The rows of one query: `columns` names the values of each row."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def params(query: Query) -> list[Param]:
    """Return the parameters in a query's header; empty where it has none."""
    return [Param(*found) for found in _PARAM.findall(query.params)]


def get(name: str) -> Query:
    """Return a named query; raises UsageError with the nearest name."""
    known = queries()
    if name not in known:
        hint = nearest(name, known) or "stackledger query lists them"
        raise UsageError("no such query", name, hint=hint)
    return known[name]


def needs_assembly(sql: str) -> bool:
    """Tell whether the text reads a relation that `assemble` makes."""
    return _ASSEMBLED.search(sql) is not None


def run(
    connection: duckdb.DuckDBPyConnection, name: str, given: Mapping[str, object] | None = None
) -> Result:
    """Return the rows of a named query; `given` overrides its parameters.

    Raises UsageError for an unknown query or parameter and for a value of the
    wrong type.
    """
    query = get(name)
    known = {param.name: param for param in params(query)}
    for word in given or {}:
        if word not in known:
            hint = nearest(word, known) or f"it takes: {', '.join(known) or 'none'}"
            raise UsageError(f"{name} has no parameter", word, hint=hint)
    values = {
        param.name: _value(name, param, (given or {}).get(param.name, param.default))
        for param in known.values()
    }
    return execute(connection, query.text(), values)


def execute(
    connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, object] | None = None
) -> Result:
    """Return the rows of one SQL text; an SQL error becomes one line with its position."""
    import duckdb

    try:
        cursor = connection.execute(sql, dict(values) if values else None)
        columns = [column[0] for column in cursor.description or ()]
        return Result(columns, cursor.fetchall() if columns else [])
    except duckdb.Error as failure:
        raise StackledgerError("SQL", _one_line(str(failure))) from None


def _value(query: str, param: Param, word: object) -> object:
    if word is None or word == "NULL":
        return None
    try:
        if param.kind == "BIGINT":
            return int(str(word))
        if param.kind == "DOUBLE":
            return float(str(word))
    except ValueError:
        raise UsageError(
            f"{query}: {param.name} must be a {param.kind}", word, hint=param.meaning
        ) from None
    return str(word)


def _one_line(message: str) -> str:
    """Return DuckDB's message as one line: what, and the line and column."""
    head = message.partition("\n\n")[0].replace("\n", " ").strip()
    place = re.search(r"LINE (\d+): (.*)\n( *)\^", message)
    if not place:
        return head
    number, text, indent = place.groups()
    column = len(indent) - len(f"LINE {number}: ") + 1
    return f"{head} (line {number}, column {column}: {text.strip()[:60]})"
