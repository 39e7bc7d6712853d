"""Part of a capture: a time range, processes, containers, layers.

Done once, below every query: a temporary view of each recorded table's name comes
first in DuckDB's search path, so that whatever reads the table reads the part.
Transactions stay whole: requests and calls are chosen by the arrival of their root.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stackledger.analysis.assembly import assemble, forget
from stackledger.analysis.chosen import Processes, choose_processes
from stackledger.analysis.thinning import ENOUGH, Spell, thin, unthin
from stackledger.analysis.timerange import TimeRange, resolve
from stackledger.diagnostics import note
from stackledger.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from stackledger.schema import Table

LEDGER = frozenset(("request", "call"))
_INTERVAL = "interval_ns"
# Of more than that of the requests, a time range is no less work than all.
_MOST = 0.5

_CHOSEN_REQUESTS = """
CREATE OR REPLACE TEMP TABLE chosen_request AS
WITH rooted AS (
  SELECT
    r.sock,
    r.recv_ts_ns,
    r.ts_ns,
    r.pid,
    coalesce(t.root_sock, r.sock) AS root_sock,
    coalesce(t.root_recv_ts_ns, r.recv_ts_ns) AS root_recv_ts_ns
  FROM request AS r
  LEFT JOIN tree AS t USING (sock, recv_ts_ns)
), kept AS (
  SELECT root_sock, root_recv_ts_ns
  FROM rooted
  GROUP BY ALL
  HAVING any_value(ts_ns) FILTER (sock = root_sock AND recv_ts_ns = root_recv_ts_ns)
    BETWEEN coalesce(getvariable('from_ts_ns'), 0)
    AND coalesce(getvariable('until_ts_ns'), 9223372036854775807) - 1
    AND ($everyone OR bool_or(pid IN (SELECT pid FROM chosen_process)))
)
SELECT sock, recv_ts_ns
FROM rooted
JOIN kept USING (root_sock, root_recv_ts_ns)
"""


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a capture is asked for; false where it is all of it."""

    time: TimeRange = field(default_factory=TimeRange)
    processes: Processes = field(default_factory=Processes)

    def __bool__(self) -> bool:
        return bool(self.time) or bool(self.processes)


def check(selection: Selection, reads: Iterable[Table]) -> None:
    """Refuse a selection that narrows nothing of what is read; say what it leaves whole.

    `reads` are the recorded tables behind a statement. Raises UsageError.
    """
    signals = [one for one in reads if not one.whole]
    for kind, wanted, fits in (
        ("a time range", bool(selection.time), lambda one: one.has("ts_ns")),
        ("processes", bool(selection.processes), lambda one: _has_processes(one, selection)),
    ):
        left = sorted(one.name for one in signals if wanted and not fits(one))
        if wanted and len(left) == len(signals):
            raise UsageError(
                f"it cannot be narrowed to {kind}",
                ", ".join(left) or None,
                hint="what it reads is known for the whole capture only",
            )
        if left:
            note(f"not narrowed to {kind}: {', '.join(left)}")


def narrow(
    connection: duckdb.DuckDBPyConnection,
    selection: Selection,
    tables: Iterable[Table],
    *,
    ledger: bool,
) -> None:
    """Have every later statement on the connection see the selected part alone.

    `ledger`: requests or calls will be read. Raises UsageError or NoSuchCaptureError.
    """
    row = connection.execute("SELECT started_ts_ns, ended_ts_ns FROM capture").fetchone()
    assert row is not None
    from_ns, until_ns = resolve(selection.time, *row)
    tables = list(tables)
    spell = _spell(connection, from_ns, until_ns, row) if ledger and selection.time else None
    if spell is not None:
        thin(connection, [spell])
        _choose(connection, selection, tables, (from_ns, until_ns))
        if not _is_whole(connection):
            unthin(connection)
            spell = None
    if spell is None and (ledger or selection.processes.layers):
        _choose(connection, selection, tables, (from_ns, until_ns), ledger=ledger)
    elif not ledger:
        choose_processes(connection, selection.processes, tables)
    forget(connection)
    unthin(connection)
    _set_range(connection, from_ns, until_ns)
    for table in tables:
        if table.name in LEDGER and not ledger:
            continue
        if condition := _condition(table, selection):
            connection.execute(
                f'CREATE OR REPLACE TEMP VIEW "{table.name}" AS'  # noqa: S608 - registry
                f' SELECT * FROM memory.main."{table.name}" WHERE {condition}'
            )


def _choose(
    connection: duckdb.DuckDBPyConnection,
    selection: Selection,
    tables: list[Table],
    between: tuple[int | None, int | None],
    *,
    ledger: bool = True,
) -> None:
    """Assemble, and write the chosen processes and requests into temporary tables."""
    _set_range(connection, None, None)
    assemble(connection, read={"process_layer"})
    choose_processes(connection, selection.processes, tables)
    if ledger:
        # The bounds are set after the assembly of all, before the choice among it.
        _set_range(connection, *between)
        connection.execute(_CHOSEN_REQUESTS, {"everyone": not selection.processes})


def _spell(
    connection: duckdb.DuckDBPyConnection,
    from_ns: int | None,
    until_ns: int | None,
    whole: tuple[int, int],
) -> Spell | None:
    """Return the time range for `thin`, None where that would leave most of it, or is little."""
    first, end = from_ns or whole[0], until_ns or whole[1] + 1
    requests, within, longest_ns = connection.execute(
        "SELECT count(*), count(*) FILTER (inside), max(wall_ns) FILTER (inside)"
        " FROM (SELECT wall_ns, ts_ns BETWEEN $1 AND $2 - 1 AS inside FROM request)",
        [first, end],
    ).fetchone() or (0, 0, None)
    if requests <= ENOUGH or within > _MOST * requests:
        return None
    return Spell(first, end, longest_ns or 0)


def _is_whole(connection: duckdb.DuckDBPyConnection) -> bool:
    """Tell whether `thin` left every call of the chosen requests: some are made long after."""
    counts = [
        connection.execute(
            f"SELECT count(*) FROM {calls} AS c SEMI JOIN chosen_request AS r"  # noqa: S608 - ours
            " ON r.sock = c.owner_sock AND r.recv_ts_ns = c.owner_recv_ts_ns"
        ).fetchone()
        for calls in ("call", "memory.main.call")
    ]
    return counts[0] == counts[1]


def _set_range(
    connection: duckdb.DuckDBPyConnection, from_ns: int | None, until_ns: int | None
) -> None:
    connection.execute("SET VARIABLE from_ts_ns = $1::BIGINT", [from_ns])
    connection.execute("SET VARIABLE until_ts_ns = $1::BIGINT", [until_ns])


def _condition(table: Table, selection: Selection) -> str:
    """Return which rows of a table are chosen, as SQL; empty where all are."""
    if table.whole:
        return ""
    if table.name == "request":
        return "(sock, recv_ts_ns) IN (SELECT (sock, recv_ts_ns) FROM chosen_request)"
    if table.name == "call":
        return "(owner_sock, owner_recv_ts_ns) IN (SELECT (sock, recv_ts_ns) FROM chosen_request)"
    words = []
    if selection.time and table.has("ts_ns"):
        # An interval belongs to where its middle is: a range of n seconds has n of them.
        at = f"ts_ns - {_INTERVAL} // 2" if table.has(_INTERVAL) else "ts_ns"
        if selection.time.begin or selection.time.last:
            words.append(f"{at} >= getvariable('from_ts_ns')")
        if selection.time.until:
            words.append(f"{at} < getvariable('until_ts_ns')")
    if selection.processes and _has_processes(table, selection):
        words.append(_process_condition(table, selection.processes))
    return " AND ".join(words)


def _has_processes(table: Table, selection: Selection) -> bool:
    wanted = selection.processes
    only_containers = wanted.containers and not (wanted.pids or wanted.comms or wanted.layers)
    return table.has("pid") or bool(only_containers and table.has("cgroup"))


def _process_condition(table: Table, wanted: Processes) -> str:
    if not table.has("pid"):
        return "cgroup IN (SELECT cgroup FROM chosen_cgroup)"
    words = ["pid IN (SELECT pid FROM chosen_process)"]
    if wanted.comms and table.has("comm"):
        # A thread has a name of its own; the process's stands for all its threads.
        words.append(
            "(list_contains(getvariable('comms'), comm) OR pid IN (SELECT pid FROM named_process))"
        )
    return " AND ".join(words)
