"""Materialises the assembled relations once, so that every later query is cheap."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from stackledger.analysis import linking
from stackledger.analysis.needs import views_of
from stackledger.views import define, definitions, stand_ins

if TYPE_CHECKING:
    from collections.abc import Collection

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

# The rows of the view, without matching requests to calls once more.
_ROOTS = """
CREATE OR REPLACE TEMP TABLE roots AS
SELECT sock, recv_ts_ns, ts_ns, endpoint, wall_ns, complete
FROM requests
WHERE parent_sock IS NULL
"""
# What other views work out of the recorded rows, without working it out again.
_WORKED_OUT = """
CREATE OR REPLACE TEMP VIEW linked AS
SELECT sock, recv_ts_ns, parent_sock, parent_recv_ts_ns FROM requests WHERE parent_sock IS NOT NULL;
CREATE OR REPLACE TEMP VIEW cost_tree AS
SELECT root_sock, root_recv_ts_ns, sock, recv_ts_ns, depth FROM tree;
CREATE OR REPLACE TEMP VIEW worked AS
SELECT sock, recv_ts_ns, ts_ns, wall_ns, pid, tid, cpu_spent_ns FROM requests;
"""
_SHORT = ("linked", "cost_tree", "worked")
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


def assemble(
    connection: duckdb.DuckDBPyConnection,
    *,
    bands: Bands | None = None,
    read: Collection[str] | None = None,
) -> None:
    """Define views, and turn those of `RELATIONS` into temporary tables.

    `read` are the others that will be read (`needs.views_of`), by default all there are:
    binding all of them takes longer than most queries. With `bands`, only the roots are
    those of the whole capture; every other relation holds the transactions of these bands
    alone, which takes a third of the time. Where the capture's links were kept
    (`linking`), nothing is worked out: the relations are views of what was kept.

    Temporary names come first in DuckDB's search path: the next view already
    reads the table, and binding it does not unfold all views below it again.
    """
    # The joins are written with the smaller side on the right; DuckDB's guess of
    # the sizes is wrong here and doubles the time (bench/attribute.py).
    connection.execute("SET disabled_optimizers = 'build_side_probe_side'")
    wanted = None if read is None else views_of([*RELATIONS, "linked", *read])
    if linking.use(connection):
        define(connection, wanted, macros=True)
        _keep(connection, "process_service")
        linking.read(connection)
    else:
        _work_out(connection, bands, wanted)
    connection.execute("RESET disabled_optimizers")


def _work_out(
    connection: duckdb.DuckDBPyConnection, bands: Bands | None, wanted: set[str] | None
) -> None:
    made = RELATIONS - {"roots"} if bands is None else RELATIONS | {"linked"}
    # A stand-in is empty: none for what is read at once.
    here = _read_by_the_kept() | (set(_SHORT) if bands is None else set())
    with stand_ins(connection) as stands_in:
        for one in definitions():
            if one.kind == "view" and wanted is not None and one.name not in wanted:
                continue
            connection.execute(one.statement)
            if one.name in made:
                _keep(connection, one.name)
            elif one.kind == "view" and one.name not in here:
                stands_in(one.name)
            if one.name == "banded" and bands is not None:
                given = {"endpoint": bands.endpoint, "percentile": bands.percentile}
                connection.execute(_MEMBER, given)
                connection.execute(_ONLY_MEMBERS)
            elif one.name == "requests" and bands is None:
                connection.execute(_ROOTS)
            elif one.name == "tree" and bands is None:
                connection.execute(_WORKED_OUT)


@cache
def _read_by_the_kept() -> set[str]:
    return views_of([*RELATIONS, "linked"])


def forget(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop what `assemble` made: its names are those of the views again."""
    names = {*RELATIONS, *_SHORT, *linking.VIEWS}
    found = connection.execute(
        "SELECT 'VIEW', view_name FROM duckdb_views() WHERE temporary AND NOT internal"
        " UNION ALL SELECT 'TABLE', table_name FROM duckdb_tables() WHERE temporary"
    ).fetchall()
    for kind, name in found:
        if name in names:
            connection.execute(f'DROP {kind} temp."{name}"')


def keep(connection: duckdb.DuckDBPyConnection, *names: str) -> None:
    """Turn views into temporary tables, in this order; what is temporary is left as it is."""
    made = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE temporary"
        " UNION ALL SELECT view_name FROM duckdb_views() WHERE temporary"
    ).fetchall()
    for name in names:
        if (name,) not in made:
            _keep(connection, name)


def _keep(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    connection.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS FROM memory.main."{name}"')
