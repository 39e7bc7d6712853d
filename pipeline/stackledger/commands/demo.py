"""`stackledger demo`: the main job, on a machine with nothing on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stackledger import diagnostics


def demo(
    live: Annotated[
        bool,
        typer.Option("--live", help="Root: start a stack with a slow disk, drive and record it."),
    ] = False,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where the report goes.")
    ] = Path("stackledger-demo.html"),
    store: Annotated[
        Path | None, typer.Option("--store", metavar="DIR", help="Keep the capture here.")
    ] = None,
) -> None:
    """Replay a recording of nginx, haproxy, an application and PostgreSQL on a slow disk.

    bpftrace's own lines go through the whole pipeline: decoder, Parquet, SQL,
    ledger, costs, report. With --live the same is recorded here and now.
    """
    import tempfile

    from stackledger.analysis.attribution import attribute
    from stackledger.analysis.costmodel import load_model
    from stackledger.analysis.costs import cost_table
    from stackledger.analysis.diagnose import examine
    from stackledger.commands.common import check_target, open_capture, write_text
    from stackledger.report import cost, html, tree

    check_target(output)
    with tempfile.TemporaryDirectory(prefix="stackledger-") as scratch:
        folder = _recorded(store or Path(scratch)) if live else _replayed(store or Path(scratch))
        with open_capture(str(folder), None) as (capture, connection):
            found = attribute(connection)
            bill = cost_table(connection, load_model("aws-us-east-1"))
            page = html.render(
                connection,
                attribution=found,
                cost=bill,
                diagnosis=examine(capture, connection),
            )
        tree.show(found)
        typer.echo("")
        typer.echo(cost.text(bill, limit=3))
        write_text(output, page)
        if store:
            diagnostics.note(f"the capture: {folder}")
        diagnostics.note(f"the report: {output}")


def _replayed(store: Path) -> Path:
    from stackledger.capture.replay import replay
    from stackledger.resources import folder

    recording = folder("recordings") / "demo"
    diagnostics.note("replaying a recording of nginx → haproxy → application → PostgreSQL")
    return replay(recording, store)


def _recorded(store: Path) -> Path:
    from stackledger.capture.preconditions import require
    from stackledger.capture.summary import Narrator, summary
    from stackledger.labs.demo import live

    require()
    narrator = Narrator()
    outcome = live(store, on_progress=narrator.tell)
    narrator.end()
    for line in summary(outcome)[:-1]:
        diagnostics.note(line)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)
    return outcome.folder
