"""`stackledger live`: a named query over what happens now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stackledger import diagnostics
from stackledger.commands.common import Format, LimitOption
from stackledger.durations import seconds
from stackledger.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from stackledger.analysis.now import LastSecond
    from stackledger.report.livetable import LiveTable


def live(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Without a name: list the queries.")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", metavar="K=V", help="A parameter; may be repeated."),
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="How long; default: until Ctrl-C.")
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("--count", metavar="N", min=1, help="End after N events, or N seconds."),
    ] = None,
    pid: Annotated[
        list[int] | None, typer.Option("--pid", metavar="N", help="Only this process.")
    ] = None,
    comm: Annotated[
        list[str] | None, typer.Option("--comm", metavar="NAME", help="Only threads so called.")
    ] = None,
    function: Annotated[
        str, typer.Option("--function", metavar="FILE:NAME", help="What funclatency times.")
    ] = "",
    limit: LimitOption = None,
    form: Annotated[
        Format, typer.Option("--format", help="table, csv or jsonl: a pipe gets each line at once.")
    ] = Format.TABLE,
) -> None:
    """Print events as they come, or a table every second; nothing is stored.

    Runs the probes that a named query needs, and the query over each second. Needs
    root. Ctrl-C ends it.
    """
    from stackledger.analysis import now
    from stackledger.capture.live import watch
    from stackledger.capture.preconditions import require
    from stackledger.capture.program import Filters
    from stackledger.capture.session import Options
    from stackledger.commands.common import pair
    from stackledger.place import default_store
    from stackledger.report import rows
    from stackledger.report.livetable import LiveTable

    if name is None:
        listed = [(one.name, one.purpose) for one in now.live_queries()]
        rows.write(["query", "purpose"], listed, form)
        return
    if form in (Format.JSON, Format.PARQUET):
        raise UsageError("what has no end cannot be printed as", form, hint="--format jsonl")
    given = dict(pair(word) for word in param or ())
    probes = now.probes_of(name, given)
    options = Options(
        store=default_store(),
        probes=probes,
        duration_s=None if duration is None else seconds(duration),
        filters=Filters(tuple(pid or ()), tuple(comm or ())),
        function=function,
    )
    require()
    table = LiveTable(form, limit=limit)
    if probes:
        diagnostics.note(f"attaching {', '.join(probes)}")
    losses = watch(
        options, lambda manifest: _Screen(now.LastSecond(manifest, name, given), table, count)
    )
    lost = sum((one.lost or 0) + one.undecodable for one in losses)
    if lost:
        diagnostics.warning(f"{lost} rows were lost: figures were too low by as much")


class _Screen:
    """Prints what a query says of each second; ends after `count` events or seconds."""

    bytes = 0

    def __init__(self, last: LastSecond, table: LiveTable, count: int | None) -> None:
        self._last, self._table, self._left = last, table, count
        diagnostics.note("Ctrl-C ends it")

    def add(self, table: str, rows: pa.Table) -> None:
        self._last.put(table, rows)

    def grow(self, table: str, rows: pa.Table) -> None:
        self._last.put(table, rows)

    def flush(self) -> None:
        """Print the second that is over; raises EnoughError after the last."""
        from stackledger.capture.live import EnoughError

        result = self._last.ask()
        found: list[tuple[Any, ...]] = result.rows
        if self._left is not None and result.columns[:1] == ["ts_ns"]:
            found = found[: self._left]
        if found:
            self._table.write(result.columns, found, self._last.until_ns)
        if self._left is not None:
            self._left -= len(found) if self._table.event else bool(found)
            if self._left <= 0:
                raise EnoughError
