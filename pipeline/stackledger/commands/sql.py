"""`stackledger sql`: your own SQL over captures."""

from __future__ import annotations

from typing import Annotated

import typer

from stackledger.commands.common import (
    FormatOption,
    LayersOption,
    LimitOption,
    StoreOption,
    chosen_format,
    chosen_store,
    over_captures,
)


def sql(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[CAPTURE]... SQL", help="Captures (default `last`; `all`), then the SQL."
        ),
    ],
    store: StoreOption = None,
    form: FormatOption = None,
    limit: LimitOption = None,
    layers: LayersOption = None,
) -> None:
    """Run your own SQL over one capture, several, or the whole store (`all`).

    `stackledger show --schema` lists the tables. Over several captures the
    statement runs on each, and the rows begin with the capture's id.
    """
    from stackledger.analysis import queries
    from stackledger.report import rows
    from stackledger.store import captures

    *named, statement = words
    if named == ["all"]:
        named = [str(one.folder) for one in captures(chosen_store(store))]
    columns, found = over_captures(
        named or ["last"],
        store,
        layers,
        lambda connection: queries.execute(connection, statement),
    )
    rows.write(columns, found, chosen_format(form), limit)
