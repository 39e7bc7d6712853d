"""Thins a large capture out before it is assembled: short spells of it, evenly spread.

Matching the calls of a million requests takes seconds; the shares of time that a
diagnosis needs are those of tens of thousands of them, too. Every transaction that
begins in a spell is whole: the requests below it may begin later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.analysis.assembly import assemble
from stackledger.analysis.thinning import ENOUGH, Spell, thin, within
from stackledger.views import define

if TYPE_CHECKING:
    from collections.abc import Collection

    import duckdb
    import pyarrow as pa

_SPELLS = 512

_LOADS = """
SELECT
  (ts_ns - from_ts_ns) * $spells // dur_ns AS spell,
  count(*) AS requests,
  sum(wall_ns)::DOUBLE AS wall_ns,
  max(wall_ns) AS longest_ns
FROM request, span
WHERE ts_ns BETWEEN from_ts_ns AND until_ts_ns - 1
GROUP BY spell
ORDER BY spell
"""


# What is kept of each relation: that of the transactions whose tree is `sampled_tree`.
_OF_THE_SAMPLE = {
    "process_service": "FROM process_service",
    "flow": "FROM flow",
    "roots": "SELECT * FROM roots WHERE {chosen}",
    "tree": "FROM sampled_tree",
    "requests": """
        SELECT r.* FROM requests AS r SEMI JOIN sampled_tree AS t USING (sock, recv_ts_ns)""",
    "edge": """
        SELECT e.* FROM edge AS e SEMI JOIN sampled_tree AS t
          ON t.sock = e.owner_sock AND t.recv_ts_ns = e.owner_recv_ts_ns""",
    "waits": """
        SELECT w.* FROM waits AS w SEMI JOIN sampled_tree AS t
          ON t.sock = w.owner_sock AND t.recv_ts_ns = w.owner_recv_ts_ns""",
    "untraced": """
        SELECT u.* FROM untraced AS u SEMI JOIN sampled_tree AS t
          ON t.sock = u.parent_sock AND t.recv_ts_ns = u.parent_recv_ts_ns""",
}
_CALLS = """
SELECT c.* FROM calls AS c SEMI JOIN sampled_tree AS t
  ON t.sock = c.owner_sock AND t.recv_ts_ns = c.owner_recv_ts_ns
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """Relations of an assembled capture, those of a sample where it is large."""

    relations: dict[str, pa.Table]
    share: float


def assemble_sample(connection: duckdb.DuckDBPyConnection, *, read: Collection[str]) -> None:
    """Assemble a capture, or a sample of a large one.

    `read` are the views that will be read, as for `assemble`. The share of the requests'
    time that was taken becomes the variable `sampled_share`.
    """
    spells, share = _spells(connection)
    if spells is not None:
        thin(connection, spells)
    assemble(connection, read=read)
    if spells is not None:
        for name, select in _selected(connection, spells).items():
            connection.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS {select}')
    connection.execute("SET VARIABLE sampled_share = $1::DOUBLE", [share])


def take(connection: duckdb.DuckDBPyConnection) -> Sample:
    """Return the same sample of a capture that is assembled as a whole already.

    Its views are those that `assemble` was given to read, and `calls`.
    """
    spells, share = _spells(connection)
    selected = {**_selected(connection, spells), "calls": _CALLS}
    return Sample(
        {name: connection.sql(sql).to_arrow_table() for name, sql in selected.items()}, share
    )


def give(connection: duckdb.DuckDBPyConnection, sample: Sample) -> None:
    """Make what was taken the temporary tables of another connection to the same database."""
    for name, rows in sample.relations.items():
        connection.register("sampled_rows", rows)
        connection.execute(f'CREATE TEMP TABLE "{name}" AS FROM sampled_rows')
    connection.unregister("sampled_rows")
    connection.execute("SET VARIABLE sampled_share = $1::DOUBLE", [sample.share])


def _selected(connection: duckdb.DuckDBPyConnection, spells: list[Spell] | None) -> dict[str, str]:
    chosen = within([(one.from_ns, one.until_ns) for one in spells]) if spells else "true"
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE sampled_tree AS
        SELECT t.* FROM tree AS t SEMI JOIN (SELECT * FROM roots WHERE {chosen}) AS r
          ON r.sock = t.root_sock AND r.recv_ts_ns = t.root_recv_ts_ns
        """  # noqa: S608 - numbers
    )
    return {name: sql.format(chosen=chosen) for name, sql in _OF_THE_SAMPLE.items()}


def _spells(connection: duckdb.DuckDBPyConnection) -> tuple[list[Spell] | None, float]:
    """Return the spells to take, None for all, and their share of the requests' time."""
    define(connection, {"span"})
    loads = connection.execute(_LOADS, {"spells": _SPELLS}).fetchall()
    requests = sum(row[1] for row in loads)
    if requests <= ENOUGH:
        return None, 1.0
    every = -(-requests // ENOUGH)
    taken = [row for row in loads if row[0] % every == every // 2]
    begin_ns, until_ns = connection.execute(
        "SELECT from_ts_ns, until_ts_ns FROM span"
    ).fetchone() or (0, 1)
    dur_ns = until_ns - begin_ns
    spells = [
        Spell(
            begin_ns + -(-number * dur_ns // _SPELLS),
            begin_ns + -(-(number + 1) * dur_ns // _SPELLS),
            longest_ns,
        )
        for number, _, _, longest_ns in taken
    ]
    return spells, sum(row[2] for row in taken) / sum(row[2] for row in loads)
