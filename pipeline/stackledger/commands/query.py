"""`stackledger query`: run a named query, or list them."""

from __future__ import annotations

from typing import Annotated

import typer

from stackledger.commands.asking import over_captures
from stackledger.commands.common import (
    CaptureWords,
    CommsOption,
    ContainersOption,
    FormatOption,
    FromOption,
    LastOption,
    LayerOption,
    LayersOption,
    LimitOption,
    PidsOption,
    StoreOption,
    UntilOption,
    chosen_format,
    chosen_part,
    pair,
)


def query(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Without a name: list the queries.")
    ] = None,
    words: CaptureWords = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", metavar="K=V", help="A parameter; may be repeated."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what the query answers and takes; do not run.")
    ] = False,
    begin: FromOption = None,
    until: UntilOption = None,
    last: LastOption = None,
    pid: PidsOption = None,
    comm: CommsOption = None,
    container: ContainersOption = None,
    layer: LayerOption = None,
    store: StoreOption = None,
    form: FormatOption = None,
    limit: LimitOption = None,
    layers: LayersOption = None,
) -> None:
    """Run a named query over one or more captures; without NAME, list the queries.

    With several captures each row begins with the capture's id.
    """
    from stackledger import catalog
    from stackledger.analysis import queries
    from stackledger.report import rows

    if name is None:
        listed = [(one.name, one.purpose) for one in catalog.queries().values()]
        rows.write(["query", "purpose"], listed, chosen_format(form), limit)
        return
    wanted = queries.get(name)
    if explain:
        for key in ("purpose", "answers", "params", "returns", "cost"):
            typer.echo(rows.fact(key, getattr(wanted, key)))
        return
    given = dict(pair(word) for word in param or ())
    columns, found = over_captures(
        words or ["last"],
        store,
        layers,
        lambda connection: queries.run(connection, name, given),
        statement=wanted.text(),
        part=chosen_part(begin, until, last, pid, comm, container, layer),
    )
    rows.write(columns, found, chosen_format(form), limit)
