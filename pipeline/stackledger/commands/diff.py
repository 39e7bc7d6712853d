"""`stackledger diff`: two captures, or two windows of one, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stackledger import diagnostics
from stackledger.commands.common import Format, LayersOption, RowsOption, StoreOption
from stackledger.errors import StackledgerError

if TYPE_CHECKING:
    from pathlib import Path

    from stackledger.analysis.costmodel import CostModel
    from stackledger.analysis.costresult import CostResult
    from stackledger.analysis.diagnosis import Diagnosis
    from stackledger.analysis.diff.sides import Sampled

_SIDE = "A capture, or a window of one: last@+10s..+20s."


def diff(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help=_SIDE)],
    after: Annotated[str, typer.Argument(metavar="AFTER", help=_SIDE)],
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="One root endpoint; default: all.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Compare costs too, priced so.")
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="LIMIT",
            help="Exit 1 where it is exceeded: 'p99 +10%', 'mean +5ms'; may be repeated.",
        ),
    ] = None,
    store: StoreOption = None,
    form: RowsOption = None,
    layers: LayersOption = None,
) -> None:
    """Say what changed between two recordings, and whether it is more than noise.

    Latency, the ledger by layer, endpoints, host and cost, each with the 95 % interval
    of its change. --fail-if makes it a gate: what may be chance alone does not fail it.
    """
    from stackledger.analysis.costmodel import load_model
    from stackledger.analysis.diff import compare, cost, gate, verdicts
    from stackledger.report import difference as pages
    from stackledger.report import rows
    from stackledger.report.differencewords import judgement

    limits = [gate.read(word) for word in fail_if or ()]
    gate.check(limits, priced=model is not None)
    priced = load_model(model) if model else None
    here, was, ill = _side(before, store, layers, endpoint, priced)
    there, now, worse = _side(after, store, layers, endpoint, priced)
    others = cost.changes(was, now, priced.file.currency) if priced and was and now else []
    if ill and worse:
        others += verdicts.changes(ill, worse)
    found = compare.compare(here, there, endpoint, others)
    judged = [one for limit in limits for one in gate.judge(limit, found)]
    if form is None or form is Format.TABLE:
        pages.show(found)
    else:
        from stackledger.analysis.diff.answer import as_rows

        rows.write(*as_rows(found), form)
    for one in judged:
        if one.failed:
            diagnostics.error(StackledgerError("limit exceeded", judgement(one)))
        else:
            diagnostics.note(judgement(one))
    if any(one.failed for one in judged):
        raise typer.Exit(1)


def _side(
    word: str,
    store: Path | None,
    layers: Path | None,
    endpoint: str | None,
    priced: CostModel | None,
) -> tuple[Sampled, CostResult | None, Diagnosis | None]:
    from stackledger.analysis.costs import cost_table
    from stackledger.analysis.diagnose import examine
    from stackledger.analysis.diff import sides
    from stackledger.analysis.selection import Selection
    from stackledger.commands.common import open_capture

    name, time = sides.parse(word)
    with open_capture(name, store, layers=layers, part=Selection(time)) as (capture, connection):
        sampled = sides.sample(connection, capture, word, endpoint)
        cost = cost_table(connection, priced) if priced else None
        # Last: it replaces views by tables. It is of all endpoints, so not beside one alone.
        found = examine(capture, connection) if endpoint is None else None
        return sampled, cost, found
