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
    "owner",
    "parent",
    "requests",
    "untraced",
    "tree",
)


def assemble(connection: duckdb.DuckDBPyConnection) -> None:
    """Turn the views of `RELATIONS` into temporary tables of the same names.

    Temporary names come first in DuckDB's search path, so that views and
    queries that name a relation read the table from then on.
    """
    # The joins are written with the smaller side on the right; DuckDB's guess of
    # the sizes is wrong here and doubles the time (bench/attribute.py).
    connection.execute("SET disabled_optimizers = 'build_side_probe_side'")
    for name in RELATIONS:
        connection.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS FROM memory.main."{name}"')
    connection.execute("RESET disabled_optimizers")
