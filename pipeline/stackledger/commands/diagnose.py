"""`stackledger diagnose`: what is wrong, with its evidence, and what to do next."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from stackledger.commands.common import (
    CaptureWord,
    FromOption,
    LastOption,
    LayersOption,
    StoreOption,
    UntilOption,
    chosen_part,
)


class Form(StrEnum):
    """How a diagnosis is printed."""

    TEXT = "text"
    JSON = "json"


def diagnose(
    word: CaptureWord = "last",
    every: Annotated[
        bool, typer.Option("--all", help="Every verdict in full, notes and rules too.")
    ] = False,
    begin: FromOption = None,
    until: UntilOption = None,
    last: LastOption = None,
    store: StoreOption = None,
    form: Annotated[
        Form, typer.Option("--format", help="json: stable, for alerts; see docs/diagnose.md.")
    ] = Form.TEXT,
    layers: LayersOption = None,
) -> None:
    """Say what makes requests slow, how sure that is, and what to do next.

    Verdicts are ranked by the time that they explain in the ledger, beside what a
    dashboard of CPU and memory showed meanwhile.
    """
    import msgspec

    from stackledger.analysis.diagnose import examine, reads
    from stackledger.analysis.diagnosissample import assemble_sample
    from stackledger.commands.common import open_capture
    from stackledger.report import diagnosis

    part = chosen_part(begin, until, last)
    opened = open_capture(
        word, store, layers=layers, part=part, assembled=bool(part), read=reads() if part else set()
    )
    with opened as (capture, connection):
        if not part:
            assemble_sample(connection, read=reads())
        found = examine(capture, connection)
    if form is Form.JSON:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        diagnosis.show(found, every=every)
