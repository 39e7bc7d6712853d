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

ByOption = Annotated[
    str,
    typer.Option(
        "--by",
        metavar="DIMENSION",
        help="endpoint, service, container, statement, or a regular expression with one group"
        " over the first bytes of each transaction.",
    ),
]
AgeOption = Annotated[
    int | None,
    typer.Option("--max-price-age", metavar="DAYS", min=0, help="Refuse prices read before."),
]
ConflictingOption = Annotated[
    bool,
    typer.Option("--allow-conflicting", help="Use prices on which sources disagree: the highest."),
]


def cost(
    word: CaptureWord = "last",
    model: ModelOption = "aws-us-east-1",
    by: ByOption = "endpoint",
    max_price_age: AgeOption = None,
    allow_conflicting: ConflictingOption = False,
    begin: FromOption = None,
    until: UntilOption = None,
    last: LastOption = None,
    store: StoreOption = None,
    form: RowsOption = None,
    layers: LayersOption = None,
) -> None:
    """Price every transaction, layer by layer, so that the rows sum to the bill.

    CPU, memory, disk capacity, IOPS, throughput and network, per root endpoint or by
    another dimension: marginal, direct and fully loaded; idle, what recording itself
    used, and what belongs to no request on lines of their own.
    """
    from stackledger.analysis.costmodel import load_model
    from stackledger.analysis.costs import cost_table
    from stackledger.analysis.dimensions import dimension
    from stackledger.commands.common import open_capture
    from stackledger.report import cost as pages
    from stackledger.report import costrows, rows

    priced = load_model(
        model, allow_conflicting=allow_conflicting, max_price_age_days=max_price_age
    )
    part = chosen_part(begin, until, last)
    with open_capture(word, store, layers=layers, assembled=bool(part), part=part, read=set()) as (
        _,
        connection,
    ):
        result = cost_table(connection, priced, by=dimension(by, connection))
    if not result.transactions:
        raise NoSuchCaptureError(
            "no complete request in this capture",
            hint="was there traffic? stackledger show lists the tables",
        )
    if form is None or form is Format.TABLE:
        typer.echo(pages.text(result))
        return
    columns = list(costrows.row_columns(result))
    rows.write(columns, [list(row.values()) for row in costrows.as_rows(result)], form)
