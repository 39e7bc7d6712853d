"""Leaves of a large capture's requests and calls those of some time ranges.

Matching the calls of a million requests takes seconds, so it is done for those alone
whose transactions are asked for. Every transaction that begins in a range is whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import duckdb

ENOUGH = 60_000  # requests; fewer are taken as they are
# A request arrives so much later than its call began, at most.
_EARLIER_NS = 100_000_000


class Spell(NamedTuple):
    """A time range, and how long the longest request took that arrived in it."""

    from_ns: int
    until_ns: int
    longest_ns: int


def thin(connection: duckdb.DuckDBPyConnection, spells: list[Spell]) -> None:
    """Let `request` and `call` be those of the spells; temporary names come first.

    What a call became may arrive after the last call that is taken.
    """
    for name, later_ns in (("call", 0), ("request", _EARLIER_NS)):
        wide = within(
            [
                (one.from_ns - _EARLIER_NS, one.until_ns + one.longest_ns + later_ns)
                for one in spells
            ]
        )
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {name} AS"  # noqa: S608 - ours, and numbers
            f" SELECT * FROM memory.main.{name} WHERE {wide}"
        )
    # The owner of a call may have begun long before.
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE earlier AS
        SELECT DISTINCT c.owner_sock AS sock, c.owner_recv_ts_ns AS recv_ts_ns
        FROM call AS c
        ANTI JOIN request AS r ON r.sock = c.owner_sock AND r.recv_ts_ns = c.owner_recv_ts_ns
        """
    )
    if connection.execute("SELECT 1 FROM earlier LIMIT 1").fetchone():
        connection.execute(
            "INSERT INTO request SELECT r.* FROM memory.main.request AS r"
            " SEMI JOIN earlier AS e ON e.sock = r.sock AND e.recv_ts_ns = r.recv_ts_ns"
        )


def unthin(connection: duckdb.DuckDBPyConnection) -> None:
    """Let `request` and `call` be all of the capture's again."""
    for name in ("request", "call", "earlier"):
        connection.execute(f'DROP TABLE IF EXISTS temp."{name}"')


def within(ranges: list[tuple[int, int]]) -> str:
    """Return the condition that a time lies in one of the ranges, those that overlap as one."""
    merged: list[list[int]] = []
    for begin, end in sorted(ranges):
        if merged and begin <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([begin, end])
    return " OR ".join(f"ts_ns BETWEEN {begin} AND {end - 1}" for begin, end in merged)
