"""Runs a named query of `queries/reports` with its parameters checked."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stackledger import sqlerrors
from stackledger.catalog import Query, queries
from stackledger.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import duckdb

_PARAM = re.compile(r"([a-z_]+) (VARCHAR|BIGINT|DOUBLE) = (\S+) \(([^()]*)\)")
_KINDS = {"BIGINT": "a whole number, 0 or more", "DOUBLE": "a number"}


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


def run(
    connection: duckdb.DuckDBPyConnection, name: str, given: Mapping[str, object] | None = None
) -> Result:
    """Return the rows of a named query; `given` overrides its parameters.

    Raises UsageError for an unknown query or parameter and for a value of the
    wrong type.
    """
    query = get(name)
    return execute(connection, query.text(), checked(query, given))


def checked(query: Query, given: Mapping[str, object] | None) -> dict[str, object]:
    """Return the values of a query's parameters; raises UsageError for what it does not take."""
    name = query.name
    known = {param.name: param for param in params(query)}
    for word in given or {}:
        if word not in known:
            hint = nearest(word, known) or f"it takes: {', '.join(known) or 'none'}"
            raise UsageError(f"{name} has no parameter", word, hint=hint)
    return {
        param.name: _value(name, param, (given or {}).get(param.name, param.default))
        for param in known.values()
    }


def execute(
    connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, object] | None = None
) -> Result:
    """Return the rows of one SQL text, of its last statement where it has several.

    An SQL error becomes one line with its position. Of two columns of one name
    the second gets a number.
    """
    import duckdb

    try:
        if not duckdb.extract_statements(sql):
            raise UsageError("no SQL statement given", hint="stackledger sql --help")
        cursor = connection.execute(sql, dict(values) if values else None)
        columns = _distinct(column[0] for column in cursor.description or ())
        return Result(columns, cursor.fetchall() if columns else [])
    except duckdb.Error as failure:
        raise sqlerrors.explain(failure) from None


def _distinct(names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        number, distinct = 1, name
        while distinct in found:
            number += 1
            distinct = f"{name}_{number}"
        found.append(distinct)
    return found


def _value(query: str, param: Param, word: object) -> object:
    if word is None or word == "NULL":
        return None
    wanted = _KINDS.get(param.kind)
    try:
        if param.kind == "BIGINT":
            number = int(str(word))
            if 0 <= number < 1 << 63:
                return number
        elif param.kind == "DOUBLE":
            real = float(str(word))
            if math.isfinite(real):
                return real
        else:
            return str(word)
    except ValueError:
        pass
    raise UsageError(f"{query}: {param.name} is not {wanted}", word, hint=param.meaning)
