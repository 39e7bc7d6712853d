"""`stackledger scrub`: remove what a capture holds of the traced programs' own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stackledger import diagnostics
from stackledger.commands.common import CaptureWord, StoreOption, chosen_store
from stackledger.errors import StackledgerError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stackledger.schema import Table


_TEXTS = ("string", "binary")


def scrub(
    word: CaptureWord = "last",
    table: Annotated[
        list[str] | None,
        typer.Option("--table", metavar="NAME", help="All texts of a table; may be repeated."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column", metavar="TABLE.COLUMN", help="One column's values; may be repeated."
        ),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Remove values from a capture for good, before it is given to others.

    Without an option: payload, paths, what scripts printed, and command lines that are not
    normalised. Rows, times and numbers stay; what was derived from the texts goes too.
    """
    from stackledger.capture.private import hand_over
    from stackledger.capture.scrub import default
    from stackledger.capture.scrub import scrub as empty
    from stackledger.report.format import count
    from stackledger.store import find

    capture = find(word, chosen_store(store))
    if capture.being_written:
        raise UsageError(
            "it is still being written", capture.folder, hint="end it: Ctrl-C where it was started"
        )
    columns = _columns(capture.tables, table or (), column or ())
    try:
        done = empty(capture.folder, capture.manifest, columns or default(capture.manifest))
        hand_over(capture.folder)
    except OSError as failure:
        raise StackledgerError(
            "cannot scrub the capture",
            f"{capture.folder}: {failure.strerror}",
            hint="a capture is its owner's: root's, or whose sudo recorded it",
        ) from None
    removed = {name: values for name, values in done.values.items() if values}
    for name, values in removed.items():
        typer.echo(f"{name}: {count(values)} values removed")
    if not removed:
        diagnostics.note("nothing to remove: these columns hold no value")


def _columns(
    tables: Mapping[str, Table], named: Sequence[str], columns: Sequence[str]
) -> list[str]:
    """Return `table.column` of all that is named; raises UsageError for what there is not."""
    found = []
    for name in named:
        if name not in tables:
            raise UsageError("no such table", name, hint=nearest(name, tables))
        texts = [one.name for one in tables[name].columns if one.kind in _TEXTS]
        if not texts:
            raise UsageError("the table has no texts", name)
        found += [f"{name}.{one}" for one in texts]
    for name in columns:
        known = [
            f"{one}.{two.name}"
            for one, of in tables.items()
            for two in of.columns
            if two.kind in _TEXTS
        ]
        if name not in known:
            hint = nearest(name, known) or "stackledger show --schema lists them"
            raise UsageError("no such column of texts", name, hint=hint)
        found.append(name)
    return found
