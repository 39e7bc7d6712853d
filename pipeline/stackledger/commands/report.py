"""`stackledger report`: one self-contained page."""

from __future__ import annotations

import sys
from pathlib import Path
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


def report(
    word: CaptureWord = "last",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Default: CAPTURE.html; - for stdout."),
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="One root endpoint; default: all.")
    ] = None,
    percentile: Annotated[
        float, typer.Option("--percentile", help="Whose ledger: the band around this percentile.")
    ] = 99.0,
    model: Annotated[
        str, typer.Option("--model", metavar="FILE", help="A cost model; `none` leaves costs out.")
    ] = "aws-us-east-1",
    begin: FromOption = None,
    until: UntilOption = None,
    last: LastOption = None,
    store: StoreOption = None,
    layers: LayersOption = None,
) -> None:
    """Write one HTML page: verdict, ledger, slowest requests, disk, cost, losses, method.

    The page needs no network and no script; attach it to the incident.
    """
    from stackledger.analysis.attribution import attribute
    from stackledger.analysis.costmodel import load_model
    from stackledger.analysis.costs import cost_table
    from stackledger.commands.common import (
        check_percentile,
        check_target,
        open_capture,
        write_text,
    )
    from stackledger.report import html

    priced = None if model == "none" else load_model(model)
    if output is not None and str(output) != "-":
        check_target(output)
    check_percentile(percentile)
    part = chosen_part(begin, until, last)
    with open_capture(word, store, layers=layers, part=part) as (capture, connection):
        found = attribute(connection, endpoint=endpoint, percentile=percentile)
        bill = None if priced is None else cost_table(connection, priced)
        page = html.render(connection, attribution=found, cost=bill)
    target = output or Path(f"{capture.manifest.name or capture.manifest.id}.html")
    if str(target) == "-":
        sys.stdout.buffer.write(page.encode())
        return
    write_text(target, page)
    typer.echo(target)
