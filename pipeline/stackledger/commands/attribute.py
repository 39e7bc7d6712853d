"""`stackledger attribute`: the ledger of slow transactions, as a tree."""

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


def attribute(
    word: CaptureWord = "last",
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="One root endpoint; default: all.")
    ] = None,
    percentile: Annotated[
        float, typer.Option("--percentile", help="Whose ledger: the band around this percentile.")
    ] = 99.0,
    begin: FromOption = None,
    until: UntilOption = None,
    last: LastOption = None,
    store: StoreOption = None,
    form: RowsOption = None,
    layers: LayersOption = None,
) -> None:
    """Say which layer and resource makes slow transactions slow.

    Averages every part over the transactions around the percentile, so that the
    parts add up, and sets the median's beside it.
    """
    from stackledger.analysis import attribution
    from stackledger.analysis.assembly import Bands
    from stackledger.commands.common import check_percentile, open_capture
    from stackledger.report import rows, tree

    check_percentile(percentile)
    part = chosen_part(begin, until, last)
    # Of a part, the assembly of all was made already.
    bands = None if part else Bands(endpoint, percentile)
    read = attribution.reads()
    opened = open_capture(word, store, layers=layers, part=part, bands=bands, read=read)
    with opened as (_, connection):
        found = attribution.attribute(connection, endpoint=endpoint, percentile=percentile)
    if form is None or form is Format.TABLE:
        tree.show(found)
    else:
        rows.write(*attribution.as_rows(found), form)
