"""`stackledger report`: one self-contained page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from stackledger.errors import NoSuchCaptureError, StackledgerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from stackledger.analysis.prediction import Prediction


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
    validate: Annotated[
        str | None,
        typer.Option("--validate", metavar="PREDICTION", help="Show what came of a prediction."),
    ] = None,
    begin: FromOption = None,
    until: UntilOption = None,
    last: LastOption = None,
    store: StoreOption = None,
    layers: LayersOption = None,
) -> None:
    """Write one HTML page: verdicts, cost, ledger, what happened when, slowest requests, method.

    It needs no network: attach it to the incident. Of a capture without an answered
    request it is about the host: what was diagnosed, disks, CPU, memory.
    """
    from concurrent.futures import ThreadPoolExecutor

    from stackledger.analysis import attribution, diagnose, linking
    from stackledger.analysis.assembly import assemble
    from stackledger.analysis.costmodel import load_model
    from stackledger.analysis.costs import cost_table
    from stackledger.analysis.diagnosissample import take
    from stackledger.analysis.needs import views
    from stackledger.analysis.whatif import proof
    from stackledger.commands.common import (
        check_percentile,
        check_target,
        open_capture,
        write_text,
    )
    from stackledger.commands.validate import find_prediction
    from stackledger.report.pagedata import READS
    from stackledger.store import beside

    priced = None if model == "none" else load_model(model)
    if output is not None and str(output) != "-":
        check_target(output)
    check_percentile(percentile)
    made = None if validate is None else find_prediction(validate, store)
    done = None if made is None else proof.carried_out(made, None)
    part = chosen_part(begin, until, last)
    read = attribution.reads() | diagnose.reads() | READS
    if made is not None:
        read = set(views())
    known = read if part else set()
    opened = open_capture(word, store, layers=layers, part=part, assembled=bool(part), read=known)
    with opened as (capture, connection), ThreadPoolExecutor(max_workers=2) as meanwhile:
        renderer = meanwhile.submit(_renderer)
        whole = None
        if not part:
            assemble(connection, read=read)
            # Of a large capture a sample, as `stackledger diagnose` does.
            if linking.use(connection):
                whole = meanwhile.submit(diagnose.diagnose, capture, layers=layers)
            else:
                other, sample = beside(connection, capture), take(connection)
                whole = meanwhile.submit(diagnose.examine_beside, capture, other, sample)
        # While DuckDB is busy: the engine's start keeps the interpreter's lock.
        drawer = meanwhile.submit(_drawer)
        try:
            found = attribution.attribute(connection, endpoint=endpoint, percentile=percentile)
        except NoSuchCaptureError:
            if endpoint is not None or made is not None:
                raise
            found = None
        bill = None if priced is None or found is None else cost_table(connection, priced)
        proven = None if made is None or done is None else proof.prove(connection, made, done)
        drawer.result()
        page = renderer.result()(
            connection,
            attribution=found,
            cost=bill,
            predictions=_predictions(capture.folder),
            proof=proven,
            diagnosis=whole.result() if whole else diagnose.examine(capture, connection),
        )
    target = output or Path(f"{capture.manifest.name or capture.manifest.id}.html")
    if str(target) == "-":
        sys.stdout.buffer.write(page.encode())
        return
    write_text(target, page)
    typer.echo(target)


def _renderer() -> Callable[..., str]:
    """Return what renders a page; importing it and its templates takes a third of a second."""
    from stackledger.report import html, pages

    pages.prepare()
    return html.render


def _drawer() -> None:
    """Start what draws charts: some tenths of a second."""
    from stackledger.report import drawing

    drawing.prepare()


def _predictions(folder: Path) -> list[Prediction]:
    from stackledger.analysis import prediction
    from stackledger.diagnostics import warning

    try:
        return prediction.load_all(folder)
    except StackledgerError as failure:
        warning(f"without its predictions: {failure}")
        return []
