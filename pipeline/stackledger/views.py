"""The views of `queries/views`: their definitions, and how a connection gets them.

Binding a view unfolds all views below it: the deepest one takes a second where it reads
Parquet. So each is bound to empty tables with the columns of the views below it; whoever
reads it later finds the views themselves.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from stackledger import relations
from stackledger.resources import folder
from stackledger.schema import TABLES, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    import duckdb

_COMMENT = re.compile(r"^COMMENT ON .*?';\n", re.MULTILINE | re.DOTALL)
_DEFINITION = re.compile(
    r"^CREATE OR REPLACE (VIEW|MACRO) (\w+)(?:\([^)]*\))? AS( TABLE)?\n(.*?);$",
    re.MULTILINE | re.DOTALL,
)


class Definition(NamedTuple):
    """One statement of a file: `kind` is view, macro, or table macro; `body` what follows AS."""

    kind: str
    name: str
    body: str
    statement: str


@cache
def definitions() -> tuple[Definition, ...]:
    """Return the definitions of all views and macros, in the order of their needs."""
    found = []
    for text in _texts():
        for one in _DEFINITION.finditer(_COMMENT.sub("", text)):
            kind = "table macro" if one[3] else one[1].lower()
            found.append(Definition(kind, one[2], one[4], one[0]))
    return tuple(found)


def define(
    connection: duckdb.DuckDBPyConnection,
    names: Collection[str] | None = None,
    *,
    macros: bool = False,
) -> None:
    """Define the views of these names, by default all, and the macros that make a value.

    A table macro reads views, so it comes with all of them only, or if `macros` says that
    what it reads is among them.
    """
    with stand_ins(connection) as stands_in:
        for one in definitions():
            wanted = one.kind == "macro" or names is None
            if one.kind == "table macro":
                wanted = wanted or macros
            elif names is not None:
                wanted = wanted or one.name in names
            if wanted:
                connection.execute(one.statement)
                if one.kind == "view":
                    stands_in(one.name)


@contextmanager
def stand_ins(connection: duckdb.DuckDBPyConnection) -> Iterator[Callable[[str], None]]:
    """Give a function after which an empty table stands for a view, until the end.

    Temporary names come first. Where there is a temporary one already, it stays.
    """
    taken: set[str] = set()
    made: list[str] = []

    def stand_in(name: str) -> None:
        if not made:
            rows = connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE temporary UNION ALL"
                " SELECT view_name FROM duckdb_views() WHERE temporary"
            ).fetchall()
            taken.update(name for (name,) in rows)
        if name not in taken:
            connection.execute(f'CREATE TEMP TABLE "{name}" AS FROM memory.main."{name}" LIMIT 0')
            made.append(name)

    yield stand_in
    for name in made:
        connection.execute(f'DROP TABLE temp."{name}"')


def _texts() -> list[str]:
    files = sorted((folder("queries") / "views").glob("*.sql"))
    return [file.read_text(encoding="utf-8") for file in files]


def document(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Table] = TABLES) -> None:
    """Give every table, view and column of a connection its comment."""
    for text in _texts():
        for comment in _COMMENT.findall(text):
            connection.execute(comment)
    views = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    for table in tables.values():
        kind = "VIEW" if (table.name,) in views else "TABLE"
        connection.execute(f'COMMENT ON {kind} "{table.name}" IS {relations.literal(table.grain)}')
        for column in table.columns:
            text = f"{column.unit} · {column.meaning}" if column.unit else column.meaning
            name = f'"{table.name}"."{column.name}"'
            connection.execute(f"COMMENT ON COLUMN {name} IS {relations.literal(text)}")
