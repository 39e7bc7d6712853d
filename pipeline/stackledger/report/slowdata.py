"""The slowest transactions with their spans, from SQL: a bounded number of both.

Reads `requests`, `tree` and `untraced`, which `analysis.assembly.assemble` makes cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

SLOWEST = 5
# An endpoint's slowest is shown before another's second if it takes that share of the slowest.
_COMPARABLE = 0.1
SPANS_EACH = 14
_PARTS = [
    "cpu",
    "runq",
    "disk",
    "lock",
    "sleep",
    "queue",
    "net",
    "downstream",
    "other",
    "unexplained",
]


@dataclass(frozen=True, slots=True)
class Span:
    """One request below a slow root; `offset_ns` counts from the root's start."""

    layer: str
    service: str
    endpoint: str
    depth: int
    offset_ns: int
    wall_ns: int
    parts: dict[str, int]
    complete: bool
    error: bool


@dataclass(frozen=True, slots=True)
class Slow:
    """One slow transaction: its longest spans in order of time, the rest counted."""

    endpoint: str
    ts_ns: int
    wall_ns: int
    complete: bool
    error: bool
    spans: list[Span]
    left_out: int


def slowest(connection: duckdb.DuckDBPyConnection, endpoint: str | None) -> list[Slow]:
    """Return the slowest transactions, those still open included, each with its spans.

    Of several endpoints that are comparably slow, each is there before one is twice.
    """
    rows = connection.execute(
        """
        WITH comparable AS (
          SELECT sock, recv_ts_ns, ts_ns, wall_ns, endpoint FROM requests
          WHERE parent_sock IS NULL
            AND ($endpoint IS NULL OR endpoint = $endpoint)
            AND wall_ns >= $comparable * (
              SELECT max(wall_ns) FROM requests
              WHERE parent_sock IS NULL
                AND ($endpoint IS NULL OR endpoint = $endpoint)
            )
        ), firsts AS (
          SELECT sock, recv_ts_ns, ts_ns, wall_ns FROM comparable
          QUALIFY row_number() OVER (
            PARTITION BY endpoint ORDER BY wall_ns DESC, ts_ns, sock
          ) = 1
          ORDER BY wall_ns DESC, ts_ns, sock
          LIMIT $roots
        ), candidates AS (
          SELECT *, 0 AS again FROM firsts
          UNION ALL
          SELECT *, 1 FROM (
            SELECT sock, recv_ts_ns, ts_ns, wall_ns
            FROM requests ANTI JOIN firsts USING (sock, recv_ts_ns)
            WHERE parent_sock IS NULL
              AND ($endpoint IS NULL OR endpoint = $endpoint)
            ORDER BY wall_ns DESC, ts_ns, sock
            LIMIT $roots
          )
        ), roots AS (
          SELECT
            *, row_number() OVER (ORDER BY wall_ns DESC, ts_ns, sock) AS place
          FROM (
            FROM candidates ORDER BY again, wall_ns DESC, ts_ns, sock LIMIT $roots
          )
        ), spans AS (
          SELECT o.place, r.*
          FROM placed AS r
          JOIN roots AS o
            ON o.sock = r.root_sock AND o.recv_ts_ns = r.root_recv_ts_ns
        ), all_spans AS (
          SELECT place, layer, service, endpoint, depth, ts_ns, wall_ns, sock,
            complete, error, cpu_ns, runq_ns, disk_ns, lock_ns, sleep_ns, queue_ns,
            net_ns, downstream_ns, other_ns, unexplained_ns
          FROM spans
          UNION ALL BY NAME
          SELECT s.place, u.layer, u.service, u.endpoint, s.depth + 1 AS depth,
            u.ts_ns, u.wait_ns AS wall_ns, 0 AS sock, true AS complete,
            false AS error
          FROM untraced AS u
          JOIN spans AS s
            ON u.parent_sock = s.sock AND u.parent_recv_ts_ns = s.recv_ts_ns
        ), ranked AS (
          SELECT
            *,
            row_number() OVER (
              PARTITION BY place
              ORDER BY depth > 0, wall_ns DESC, ts_ns, depth, service, sock
            ) AS rank,
            count(*) OVER (PARTITION BY place) AS spans
          FROM all_spans
        )
        SELECT place, spans, layer, coalesce(service, ''), endpoint, depth, ts_ns,
          wall_ns, complete, error, cpu_ns, runq_ns, disk_ns, lock_ns, sleep_ns,
          queue_ns, net_ns, downstream_ns, other_ns, unexplained_ns
        FROM ranked
        WHERE rank <= $spans
        ORDER BY place, depth > 0, ts_ns, depth, service, sock, rank
        """,
        {
            "endpoint": endpoint,
            "comparable": _COMPARABLE,
            "roots": SLOWEST,
            "spans": SPANS_EACH,
        },
    ).fetchall()
    found: list[Slow] = []
    at = 0
    for place, spans, layer, service, path, depth, ts_ns, wall_ns, complete, error, *parts in rows:
        if place != at:
            at = place
            left_out = max(0, spans - SPANS_EACH)
            found.append(Slow(path, ts_ns, wall_ns, complete, error, [], left_out))
        named = {part: ns for part, ns in zip(_PARTS, parts, strict=True) if ns is not None}
        offset_ns = ts_ns - found[-1].ts_ns
        # A call to a server that was not traced has no parts: it is one.
        split = named or {"untraced": wall_ns}
        found[-1].spans.append(
            Span(layer, service, path, depth, offset_ns, wall_ns, split, complete, error)
        )
    return found
