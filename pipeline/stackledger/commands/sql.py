"""`stackledger sql`: your own SQL over captures."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from stackledger.commands.asking import over_captures
from stackledger.commands.common import (
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
)
from stackledger.errors import UsageError

_EXAMPLE = 'stackledger sql last "SELECT count(*) FROM requests"'


def sql(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CAPTURE]... SQL", help="Captures (default `last`; `all`), then the SQL."
        ),
    ] = None,
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
    """Run your own SQL over one capture, several, or the whole store (`all`).

    `stackledger show --schema` lists the tables. Over several captures the
    statement runs on each, and the rows begin with the capture's id. Nothing
    that it changes outlives it: the tables are views of the capture's files.
    """
    from stackledger.analysis import readonly
    from stackledger.report import rows

    if not words:
        raise UsageError("no SQL statement given", hint=_EXAMPLE)
    *named, statement = words
    if re.fullmatch(r"[\w.@:+/=-]*", statement):
        raise UsageError("the last word is not an SQL statement", statement, hint=_EXAMPLE)
    columns, found = over_captures(
        named or ["last"],
        store,
        layers,
        lambda connection: readonly.ask(connection, statement),
        statement=statement,
        part=chosen_part(begin, until, last, pid, comm, container, layer),
    )
    rows.write(columns, found, chosen_format(form), limit)
