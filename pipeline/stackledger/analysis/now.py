"""A named query over what came within the last second, as over a capture of that second."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackledger import catalog, views
from stackledger.analysis import needs, queries
from stackledger.analysis.selection import LEDGER
from stackledger.errors import UsageError
from stackledger.relations import name_syscalls
from stackledger.schema import TABLES
from stackledger.store import Capture, connect

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from stackledger.analysis.queries import Result
    from stackledger.catalog import Query
    from stackledger.manifest import Manifest
    from stackledger.schema import Table

_NO_FILES = Path("/nonexistent")
_KEPT_ROWS = 200_000


def live_queries() -> list[Query]:
    """Return the queries that can be asked about what happens now."""
    every = list(catalog.queries().values())
    read = needs.relations_of_each((one.text() for one in every), TABLES)
    return [one for one, names in zip(every, read, strict=True) if not _obstacle(names)]


def probes_of(name: str, given: Mapping[str, str]) -> tuple[str, ...]:
    """Return the probes whose rows a query reads; none where the host's counters do.

    Raises UsageError for a query that is not about what happens now.
    """
    query = queries.get(name)
    queries.checked(query, given)
    read = needs.relations(query.text(), TABLES)
    if obstacle := _obstacle(read):
        what, hint = obstacle
        raise UsageError(what, name, hint=hint)
    printed = {table: probe.name for probe in catalog.probes().values() for table in probe.tables}
    return tuple(sorted({printed[table] for table in _signals(read) if table in printed}))


def _obstacle(read: set[str]) -> tuple[str, str] | None:
    """Return why a query that reads these cannot be asked live, and what to do instead."""
    if read & LEDGER:
        return (
            "a request is known when all of its calls are: it cannot be watched live",
            "stackledger capture --for 10s, then stackledger query",
        )
    if not _signals(read):
        return "nothing of it happens live", "stackledger live lists what does"
    return None


def _signals(read: set[str]) -> set[str]:
    return {name for name in read & TABLES.keys() if not TABLES[name].whole}


class LastSecond:
    """The tables of one query: each holds the rows since the last time it was asked."""

    def __init__(self, manifest: Manifest, name: str, given: Mapping[str, str]) -> None:
        statement = queries.get(name).text()
        read = needs.relations(statement, TABLES)
        self.tables = {table: TABLES[table] for table in read & TABLES.keys()}
        self._name, self._given = name, given
        self._rows: dict[str, list[pa.Table]] = {}
        self._connection = connect(Capture(_NO_FILES, manifest), with_views=False)
        views.define(self._connection, read)
        if "syscall_count" in read:
            name_syscalls(self._connection, manifest.machine.arch)
        self.until_ns = time.time_ns()

    def put(self, table: str, rows: pa.Table) -> None:
        """Take rows in the registry's columns."""
        if table in self.tables and rows.num_rows:
            self._rows.setdefault(table, []).append(rows)

    def ask(self) -> Result:
        """Return what the query answers about the rows since the last time."""
        import pyarrow as pa

        held = {
            name: pa.concat_tables(rows).unify_dictionaries() for name, rows in self._rows.items()
        }
        from_ns, self.until_ns = self.until_ns, time.time_ns()
        span = _summed_span(self.tables, held) or (from_ns, self.until_ns)
        self._connection.execute("UPDATE capture SET started_ts_ns = $1, ended_ts_ns = $2", span)
        # A registered name is a temporary view: it comes before the empty table.
        for name, rows in held.items():
            self._connection.register(name, rows)
        try:
            return queries.run(self._connection, self._name, self._given)
        finally:
            for name in held:
                self._connection.unregister(name)
            # What explains other rows is needed again: the latest of it.
            self._rows = {
                name: [rows.slice(max(0, rows.num_rows - _KEPT_ROWS))]
                for name, rows in held.items()
                if self.tables[name].whole
            }


def _summed_span(tables: Mapping[str, Table], held: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return what the seconds cover that the kernel, or /proc, has summed up."""
    import pyarrow.compute as pc

    ends = []
    for name, rows in held.items():
        if tables[name].has("interval_ns") and not tables[name].whole:
            begins = pc.subtract(rows["ts_ns"], rows["interval_ns"])
            ends.append((pc.min(begins).as_py(), pc.max(rows["ts_ns"]).as_py()))
    if not ends:
        return None
    return min(begin for begin, _ in ends), max(end for _, end in ends)
