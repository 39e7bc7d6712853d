"""What a capture is: its facts, tables, columns, probes and layers, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stackledger.analysis.timekeeping import steps, suspended_ns
from stackledger.schema import TABLES, Table
from stackledger.views import document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from stackledger.manifest import Anchor
    from stackledger.store import Capture

Rows = tuple[list[str], list[tuple[Any, ...]]]


def facts(capture: Capture) -> list[tuple[str, Any]]:
    """Return name and value of what identifies a capture."""
    told = capture.manifest
    state = f"incomplete: {capture.condition}" if capture.condition else told.state
    return [
        ("capture", told.id),
        ("name", told.name or "–"),
        ("folder", str(capture.folder)),
        ("state", state),
        ("host", told.host),
        ("kernel", f"{told.kernel}, {told.machine.cpus} CPUs, {told.machine.arch}"),
        ("bpftrace", told.bpftrace),
        ("start_ts_ns", told.started_ns),
        ("wall_ns", max(0, told.ended_ns - told.started_ns) if told.ended_ns else None),
        *([("kept_from_ts_ns", told.kept_from_ns)] if told.kept_from_ns else []),
        *_clock(capture.manifest.clock),
        ("filters", ", ".join(f"{k} {w}" for k, ws in told.filters.items() for w in ws) or "none"),
    ]


def _clock(clock: Sequence[Anchor]) -> list[tuple[str, Any]]:
    """Return what happened to the clocks, nothing where they just went on."""
    told: list[tuple[str, Any]] = []
    for step in steps(clock):
        after_s, before_s = (
            (at - clock[0].boottime_ns) / 1e9 for at in (step.after_ns, step.before_ns)
        )
        what = (
            f"the wall clock was set by {step.by_ns / 1e9:+.3f} s, {after_s:.0f} to"
            f" {before_s:.0f} s after the start; times here are the start's clock's"
        )
        told.append(("clock", what))
    if slept_ns := suspended_ns(clock):
        told.append(("clock", f"the host slept for {slept_ns / 1e9:.1f} s meanwhile"))
    return told


def tables(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Table] = TABLES) -> Rows:
    """Return one row per recorded table: rows, and its losses. What nobody asked for has none."""
    found = []
    losses = {
        row[0]: row[1:]
        for row in connection.execute(
            'SELECT "table", produced, lost, undecodable, dropped FROM loss'
        ).fetchall()
    }
    for name in tables:
        count = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()  # noqa: S608 - registry
        account = losses.get(name, (None, None, None, None))
        if name in losses or (count and count[0]):
            found.append((name, count[0] if count else 0, *account))
    return ["table", "rows", "produced", "lost", "undecodable", "dropped"], found


def columns(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Table] = TABLES) -> Rows:
    """Return one row per column of every table and view: type, unit and meaning."""
    document(connection, tables)
    rows = connection.execute(
        """
        SELECT c.table_name, c.column_name, c.data_type, c.comment
        FROM duckdb_columns() AS c
        WHERE NOT c.internal AND c.schema_name = 'main' AND c.database_name = 'memory'
          AND c.comment IS NOT NULL
        ORDER BY c.table_name, c.column_index
        """
    ).fetchall()
    found = []
    for table, column, kind, comment in rows:
        unit, separator, meaning = comment.partition(" · ")
        if not separator:
            unit, meaning = "", comment
        found.append((table, column, kind, unit, meaning))
    return ["table", "column", "type", "unit", "meaning"], found


def probes(capture: Capture) -> Rows:
    """Return one row per probe: how exact it was, how it ended, its rows, its error."""
    return ["probe", "variant", "grade", "state", "rows", "error"], [
        (run.name, run.variant or "–", run.grade or "–", run.state, run.rows, run.error)
        for run in capture.manifest.probes
    ]


def layers(connection: duckdb.DuckDBPyConnection) -> Rows:
    """Return one row per layer and service that served requests."""
    rows = connection.execute(
        """
        SELECT layer, service, count(DISTINCT pid) AS processes, count(*) AS requests
        FROM requests GROUP BY ALL ORDER BY requests DESC, layer, service
        """
    ).fetchall()
    return ["layer", "service", "processes", "requests"], rows
