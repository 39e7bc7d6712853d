"""Which relations a statement reads, views followed down to the recorded tables."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from stackledger.views import definitions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stackledger.schema import Table

_NO_CODE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
_WORD = re.compile(r"\w+")
# What follows FROM and JOIN in the views; a test compares it with what DuckDB parses.
_READ = re.compile(r"\b(?:FROM|JOIN)\s+(\w+(?:\s+AS\s+\w+)?(?:\s*,\s*\w+(?:\s+AS\s+\w+)?)*)")
# What looks at the catalogue, or names a table in a string.
_ANY = re.compile(
    r"(?:\A|;)\s*(?:show|describe|desc|summarize|pragma|call)\b"
    r"|\b(?:information_schema|pragma_\w+|duckdb_\w+|query|query_table)\b",
    re.IGNORECASE,
)


@cache
def views() -> dict[str, str]:
    """Return the SELECT of every view of `queries/views` by name."""
    return {one.name: one.body for one in definitions() if one.kind == "view"}


def relations(statement: str, known: Iterable[str]) -> set[str]:
    """Return the tables and views that a statement reads, itself or through views.

    `known` are the tables there are. What DuckDB cannot parse on its own (PIVOT, DDL)
    is looked through for words: rather a relation too many than one too few.
    """
    return relations_of_each([statement], known)[0]


def relations_of_each(statements: Iterable[str], known: Iterable[str]) -> list[set[str]]:
    """Return `relations` of several statements in the time of one."""
    every = {*known, *views()}
    statements = list(statements)
    return [
        every if _ANY.search(_NO_CODE.sub(" ", statement)) else _followed(direct & every, every)
        for statement, direct in zip(statements, _named(statements), strict=True)
    ]


def _followed(pending: set[str], every: set[str]) -> set[str]:
    found: set[str] = set()
    while pending:
        name = pending.pop()
        found.add(name)
        if name in views():
            pending |= (_named_by_views()[name] & every) - found
    return found


def views_of(texts: Iterable[str]) -> set[str]:
    """Return the views that SQL of our own may read, itself or through others.

    It is looked through for their names: parsing it takes longer than most of it runs.
    """
    known = set(views())
    words = {word for text in texts for word in _WORD.findall(_NO_CODE.sub(" ", text))}
    return _followed(words & known, known)


@cache
def _named_by_views() -> dict[str, set[str]]:
    """Return for each view what it reads itself: by its text, as parsing takes 0.3 s."""
    found = {}
    for name, select in views().items():
        lists = _READ.findall(_NO_CODE.sub(" ", select))
        found[name] = {item.split()[0] for items in lists for item in items.split(",")}
    return found


def tables(statement: str, known: Mapping[str, Table]) -> list[Table]:
    """Return the recorded tables that a statement reads, itself or through views."""
    return [known[name] for name in relations(statement, known) if name in known]


def _named(statements: Iterable[str]) -> list[set[str]]:
    """Return for each statement the names that it reads from, or may."""
    import duckdb

    found = []
    with duckdb.connect(":memory:") as connection:
        for statement in statements:
            row = connection.execute("SELECT json_serialize_sql($1)", [statement]).fetchone()
            parsed = json.loads(row[0]) if row else {"error": True}
            if parsed["error"]:
                found.append(set(_WORD.findall(_NO_CODE.sub(" ", statement).lower())))
                continue
            named: set[str] = set()
            own: set[str] = set()
            _walk(parsed, named, own)
            found.append(named - own)
    return found


def _walk(node: Any, named: set[str], own: set[str]) -> None:
    """Collect the relations named in FROM, and the statement's own CTEs."""
    if isinstance(node, dict):
        if node.get("type") == "BASE_TABLE":
            named.add(node["table_name"].lower())
        if "cte_map" in node:
            own.update(entry["key"].lower() for entry in node["cte_map"]["map"])
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            _walk(part, named, own)
