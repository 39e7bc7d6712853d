"""`stackledger show`: one capture, or its schema."""

from __future__ import annotations

from typing import Annotated

import typer

from stackledger.commands.common import (
    CaptureWord,
    LayersOption,
    RowsOption,
    StoreOption,
    chosen_format,
)


def show(
    word: CaptureWord = "last",
    schema: Annotated[
        bool, typer.Option("--schema", help="Every table and column, with unit and meaning.")
    ] = False,
    store: StoreOption = None,
    form: RowsOption = None,
    layers: LayersOption = None,
) -> None:
    """Show one capture: how it was made, its tables, its losses, the layers found."""
    from stackledger.analysis import describe
    from stackledger.commands.common import open_capture
    from stackledger.report import rows

    with open_capture(word, store, layers=layers, assembled=not schema) as (capture, connection):
        if schema:
            columns, found = describe.columns(connection, capture.tables)
            rows.write(columns, found, chosen_format(form))
            return
        if form is not None:
            columns, found = describe.tables(connection, capture.tables)
            rows.write(columns, found, form)
            return
        for name, value in describe.facts(capture):
            typer.echo(rows.fact(name, value))
        for title, (columns, found) in (
            ("Tables", describe.tables(connection, capture.tables)),
            ("Probes", describe.probes(capture)),
            ("Layers", describe.layers(connection)),
        ):
            typer.echo(f"\n{title}")
            if found:
                rows.table(columns, found)
            else:
                typer.echo("none")
