"""One statement, asked of one capture or of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stackledger import diagnostics
from stackledger.commands.common import chosen_store, open_capture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import duckdb

    from stackledger.analysis.queries import Result
    from stackledger.analysis.selection import Selection
    from stackledger.store import Capture


def over_captures(
    words: Sequence[str],
    store: Path | None,
    layers: Path | None,
    ask: Callable[[duckdb.DuckDBPyConnection], Result],
    *,
    statement: str,
    part: Selection,
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Ask each capture in turn; with several, the first column names the capture.

    The word `all` alone means every capture of the store. Requests are assembled only
    where the `statement` reads them.
    """
    from stackledger.analysis import needs
    from stackledger.analysis.selection import LEDGER, check
    from stackledger.schema import TABLES

    read = needs.relations(statement, TABLES)
    assembled = bool(read & LEDGER)
    columns: list[str] = []
    found: list[tuple[Any, ...]] = []
    words = _every(store) if words == ["all"] else words
    for word in words:
        with open_capture(
            word, store, layers=layers, assembled=assembled, part=part, read=read
        ) as (capture, connection):
            if part and not columns:
                check(part, needs.tables(statement, capture.tables))
            result = ask(connection)
        if not result.rows:
            note_not_recorded(capture, read)
        columns = result.columns
        several = len(words) > 1
        found += [(capture.manifest.id, *row) for row in result.rows] if several else result.rows
    if part and not found:
        diagnostics.note("no rows: nothing in that part of the capture")
    return (["capture", *columns] if len(words) > 1 else columns), found


def _every(store: Path | None) -> list[str]:
    """Return the folder of every capture in the store; raises NoSuchCaptureError without one."""
    from stackledger.store import captures, find

    where = chosen_store(store)
    return [str(one.folder) for one in captures(where) or [find("last", where)]]


def note_not_recorded(capture: Capture, read: set[str]) -> None:
    """Say that an answer is empty because nobody looked, not because nothing happened."""
    from stackledger import catalog

    runs = [run for run in capture.manifest.probes if run.state != "unavailable"]
    missing = read - {table for run in runs for table in run.tables}
    probes = sorted({one.name for one in catalog.probes().values() if missing & set(one.tables)})
    if probes:
        words = " ".join(f"--probe {name}" for name in probes)
        diagnostics.note(f"not recorded in this capture: {', '.join(probes)}")
        diagnostics.note(f"hint: stackledger capture {words}")
