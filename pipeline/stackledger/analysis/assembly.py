"""Materialises the assembled relations once, so that every later query is cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

# In order: each is made from the ones before it.
RELATIONS = (
    "process_service",
    "flow",
    "edge",
    "calls",
    "own_ledger",
    "requests",
    "untraced",
    "tree",
)


def assemble(connection: duckdb.DuckDBPyConnection) -> None:
    """Turn the views of `RELATIONS` into temporary tables of the same names.

    Temporary names come first in DuckDB's search path, so that views and
    queries that name a relation read the table from then on.
    """
    for name in RELATIONS:
        connection.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS FROM memory.main."{name}"')
