"""`stackledger cost`: what a transaction cost."""

from __future__ import annotations

from typing import Annotated

import typer

from stackledger.commands.common import (
    CaptureWord,
    Format,
    FromOption,
    LastOption,
    LayersOption,
    RowsOption,
    StoreOption,
    UntilOption,
    chosen_part,
)
from stackledger.errors import NoSuchCaptureError

ModelOption = Annotated[
    str,
    typer.Option(
        "--model", metavar="FILE", help="A cost model: a file, or a packaged one by name."
    ),
]


def cost(
    word: CaptureWord = "last",
    model: ModelOption = "aws-us-east-1",
    begin: FromOption = None,
    until: UntilOption = None,
    last: LastOption = None,
    store: StoreOption = None,
    form: RowsOption = None,
    layers: LayersOption = None,
) -> None:
    """Price every transaction, layer by layer, so that the rows sum to the bill.

    CPU, memory, disk capacity, IOPS, throughput and network, per root endpoint:
    marginal, direct and fully loaded; idle and unattributed on lines of their own.
    """
    from stackledger.analysis.costmodel import load_model
    from stackledger.analysis.costs import cost_table
    from stackledger.commands.common import open_capture
    from stackledger.report import cost as pages
    from stackledger.report import rows

    priced = load_model(model)
    part = chosen_part(begin, until, last)
    with open_capture(word, store, layers=layers, part=part) as (_, connection):
        result = cost_table(connection, priced)
    if not result.transactions:
        raise NoSuchCaptureError(
            "no complete request in this capture",
            hint="was there traffic? stackledger show lists the tables",
        )
    if form is None or form is Format.TABLE:
        typer.echo(pages.text(result))
        return
    found = pages.as_rows(result)
    rows.write(
        list(pages.ROW_COLUMNS), [[row[name] for name in pages.ROW_COLUMNS] for row in found], form
    )
