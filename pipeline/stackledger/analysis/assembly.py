"""Materialises the assembled relations once, so that every later query is cheap."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stackledger.store import view_texts

if TYPE_CHECKING:
    import duckdb

RELATIONS = frozenset(
    ("process_service", "flow", "edge", "calls", "owner", "parent", "requests", "untraced", "tree")
)
_VIEW = re.compile(r"^CREATE OR REPLACE VIEW (\w+) AS$.*?;$", re.MULTILINE | re.DOTALL)


def assemble(connection: duckdb.DuckDBPyConnection) -> None:
    """Define every view, and turn those of `RELATIONS` into temporary tables.

    Temporary names come first in DuckDB's search path: the next view already
    reads the table, and binding it does not unfold all views below it again.
    """
    # The joins are written with the smaller side on the right; DuckDB's guess of
    # the sizes is wrong here and doubles the time (bench/attribute.py).
    connection.execute("SET disabled_optimizers = 'build_side_probe_side'")
    for text in view_texts():
        for view in _VIEW.finditer(text):
            connection.execute(view[0])
            name = view[1]
            if name in RELATIONS:
                connection.execute(
                    f'CREATE OR REPLACE TEMP TABLE "{name}" AS FROM memory.main."{name}"'
                )
    connection.execute("RESET disabled_optimizers")
