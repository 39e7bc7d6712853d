"""`stackledger validate`: a prediction beside what was measured after the change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    chosen_store,
)
from stackledger.errors import NoSuchCaptureError, nearest

if TYPE_CHECKING:
    from stackledger.analysis.prediction import Prediction


def validate(
    made: Annotated[
        str, typer.Argument(metavar="PREDICTION", help="A prediction: its name, or its file.")
    ],
    word: CaptureWord = "last",
    option: Annotated[
        str | None,
        typer.Option(
            "--option",
            metavar="NAME",
            help="What was carried out, by number or name; else the pick.",
        ),
    ] = None,
    begin: FromOption = None,
    until: UntilOption = None,
    last: LastOption = None,
    store: StoreOption = None,
    form: RowsOption = None,
    layers: LayersOption = None,
) -> None:
    """Compare a prediction with a capture made after the change.

    Predicted, measured and the error of each figure of the option that was carried out.
    """
    from stackledger.analysis.whatif.proof import carried_out, prove
    from stackledger.commands.common import open_capture
    from stackledger.report import proof as pages
    from stackledger.report import rows

    prediction = find_prediction(made, store)
    chosen = carried_out(prediction, option)
    part = chosen_part(begin, until, last)
    with open_capture(word, store, layers=layers, part=part) as (_, connection):
        found = prove(connection, prediction, chosen)
    if form is None or form is Format.TABLE:
        typer.echo(pages.text(found), nl=False)
    else:
        listed = [[row[one] for one in pages.COLUMNS] for row in pages.as_rows(found)]
        rows.write(list(pages.COLUMNS), listed, form)


def find_prediction(word: str, store: Path | None) -> Prediction:
    """Return the prediction of that file, else the newest of that name in the store."""
    from stackledger.analysis.prediction import load, load_all
    from stackledger.store import captures

    if Path(word).is_file() or "/" in word:
        return load(Path(word))
    known = [one for capture in captures(chosen_store(store)) for one in load_all(capture.folder)]
    matches = [one for one in known if one.name == word]
    if matches:
        return max(matches, key=lambda one: one.made_at)
    hint = nearest(word, [one.name for one in known])
    raise NoSuchCaptureError(
        "no such prediction", word, hint=hint or "stackledger whatif makes and keeps them"
    )
