"""Materialises the assembled relations once, so that every later query is cheap."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.store import view_texts

if TYPE_CHECKING:
    import duckdb

RELATIONS = frozenset(
    (
        "process_service",
        "flow",
        "edge",
        "roots",
        "waits",
        "owner",
        "parent",
        "requests",
        "untraced",
        "tree",
    )
)
_DEFINITION = re.compile(
    r"^CREATE OR REPLACE (?:VIEW|MACRO) (\w+)\b.*?;$", re.MULTILINE | re.DOTALL
)

# The rows of the view, without matching requests to calls once more.
_ROOTS = """
CREATE OR REPLACE TEMP TABLE roots AS
SELECT sock, recv_ts_ns, ts_ns, endpoint, wall_ns, complete
FROM requests
WHERE parent_sock IS NULL
"""
# One row per request of the bands' transactions; the depth is that of `tree`.
_MEMBER = """
CREATE TEMP TABLE member AS
WITH RECURSIVE below AS (
  SELECT DISTINCT sock, recv_ts_ns, 0 AS depth
  FROM banded($endpoint, $percentile)
  UNION ALL
  SELECT l.sock, l.recv_ts_ns, b.depth + 1
  FROM linked AS l
  JOIN below AS b
    ON l.parent_sock = b.sock AND l.parent_recv_ts_ns = b.recv_ts_ns
  WHERE b.depth < 16
)
SELECT DISTINCT sock, recv_ts_ns FROM below
"""
# Temporary names come first: all that is defined after them reads only these.
_ONLY_MEMBERS = """
CREATE TEMP TABLE request AS
SELECT r.* FROM request AS r SEMI JOIN member AS m USING (sock, recv_ts_ns);
CREATE TEMP TABLE call AS
SELECT c.* FROM call AS c
SEMI JOIN member AS m ON m.sock = c.owner_sock AND m.recv_ts_ns = c.owner_recv_ts_ns;
CREATE OR REPLACE TEMP TABLE edge AS
SELECT e.* FROM edge AS e
SEMI JOIN member AS m ON m.sock = e.owner_sock AND m.recv_ts_ns = e.owner_recv_ts_ns;
"""


@dataclass(frozen=True, slots=True)
class Bands:
    """The transactions that an attribution is about: those around two percentiles."""

    endpoint: str | None
    percentile: float


def assemble(connection: duckdb.DuckDBPyConnection, *, bands: Bands | None = None) -> None:
    """Define every view, and turn those of `RELATIONS` into temporary tables.

    With `bands`, only the roots are those of the whole capture; every other relation
    holds the transactions of these bands alone, which takes a third of the time.

    Temporary names come first in DuckDB's search path: the next view already
    reads the table, and binding it does not unfold all views below it again.
    """
    # The joins are written with the smaller side on the right; DuckDB's guess of
    # the sizes is wrong here and doubles the time (bench/attribute.py).
    connection.execute("SET disabled_optimizers = 'build_side_probe_side'")
    made = RELATIONS - {"roots"} if bands is None else RELATIONS | {"linked"}
    for text in view_texts():
        for definition in _DEFINITION.finditer(text):
            connection.execute(definition[0])
            name = definition[1]
            if name in made:
                _keep(connection, name)
            if name == "banded" and bands is not None:
                given = {"endpoint": bands.endpoint, "percentile": bands.percentile}
                connection.execute(_MEMBER, given)
                connection.execute(_ONLY_MEMBERS)
            elif name == "requests" and bands is None:
                connection.execute(_ROOTS)
    connection.execute("RESET disabled_optimizers")


def keep(connection: duckdb.DuckDBPyConnection, *names: str) -> None:
    """Turn views into temporary tables, in this order; a table is left as it is."""
    known = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    for name in names:
        if (name,) in known:
            _keep(connection, name)


def _keep(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    connection.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS FROM memory.main."{name}"')
