"""`stackledger prices`: the catalogue, listed and searched."""

from __future__ import annotations

from typing import Annotated

import typer

from stackledger.commands.common import Format, RowsOption

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[WORD]...", help="Rows that hold every word: gp3, capacity, ultra."),
]


def prices(
    words: Words = None,
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="NAME", help="aws, gcp or azure.")
    ] = None,
    sku: Annotated[
        str | None,
        typer.Option("--sku", metavar="SKU", help="One sku: gp3, or aws/us-east-1/gp3."),
    ] = None,
    dimension: Annotated[
        str | None,
        typer.Option("--dimension", metavar="NAME", help="capacity, iops, instance, transfer, …"),
    ] = None,
    limits: Annotated[
        bool, typer.Option("--limits", help="Rows of volumes' limits instead of prices.")
    ] = False,
    form: RowsOption = None,
) -> None:
    """List the dated, sourced prices of the catalogue, and what volumes can do.

    A price is an estimate from public lists: a model's own [[price]] wins over it.
    """
    from stackledger import diagnostics
    from stackledger.analysis.pricecatalog import load_catalog
    from stackledger.analysis.pricelist import offers, search
    from stackledger.analysis.volumes import volume_types
    from stackledger.report import prices as pages
    from stackledger.report import rows

    known = offers(load_catalog().prices, volume_types())
    found = search(known, words or (), provider, sku, dimension)
    if form is None and not limits:
        priced = [offer for offer in found if offer.prices]
        typer.echo(pages.text(priced or found), nl=False)
        if priced and len(priced) < len(found):
            diagnostics.note(f"… {len(found) - len(priced)} volume types without a price: --limits")
    elif limits:
        chosen = form or Format.TABLE
        rows.write(list(pages.LIMIT_COLUMNS), pages.limit_rows(found), chosen)
    else:
        rows.write(list(pages.COLUMNS), pages.rows(found), form or Format.TABLE)
