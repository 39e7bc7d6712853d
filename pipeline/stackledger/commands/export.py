"""`stackledger export`: a capture's costs in other tools' formats."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from stackledger.commands.common import (
    CaptureWord,
    FromOption,
    LastOption,
    LayersOption,
    StoreOption,
    UntilOption,
    check_target,
    chosen_part,
    open_capture,
)
from stackledger.commands.cost import ModelOption
from stackledger.errors import NoSuchCaptureError, StackledgerError, UsageError
from stackledger.export.target import FileFormat, Target, content, file_name


def export(
    word: CaptureWord = "last",
    to: Annotated[
        Target, typer.Option("--to", help="FOCUS 1.2, or a CSV for spreadsheets.")
    ] = Target.FOCUS,
    model: ModelOption = "aws-us-east-1",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Default: by the capture's name; - for stdout."
        ),
    ] = None,
    form: Annotated[
        FileFormat, typer.Option("--format", help="FOCUS as CSV or Parquet.")
    ] = FileFormat.CSV,
    account: Annotated[
        str | None, typer.Option("--account", help="FOCUS: BillingAccountId; default: the model.")
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option("--check", metavar="FILE", help="Only check a FOCUS file against the rules."),
    ] = None,
    begin: FromOption = None,
    until: UntilOption = None,
    last: LastOption = None,
    store: StoreOption = None,
    layers: LayersOption = None,
) -> None:
    """Write what a capture cost as a file: FOCUS 1.2 rows, or a CSV for spreadsheets.

    FOCUS rows are list-price estimates of the capture's window, each charge split over
    endpoints, layers and services; they sum to the bill.
    """
    from stackledger.analysis.costmodel import load_model
    from stackledger.analysis.costs import cost_table

    if check is not None:
        _check(check)
        return
    if to is Target.CSV and form is FileFormat.PARQUET:
        raise UsageError("only FOCUS is written as Parquet", "--to csv", hint="--to focus")
    if account is not None and not account.strip():
        raise UsageError("an account needs a name", "--account")
    if output is not None and str(output) != "-":
        check_target(output)
    priced = load_model(model)
    part = chosen_part(begin, until, last)
    with open_capture(word, store, layers=layers, part=part) as (capture, connection):
        result = cost_table(connection, priced)
        span = connection.execute("SELECT from_ts_ns, until_ts_ns FROM span").fetchone()
    told = capture.manifest
    if span is None or not result.bill_usd:
        raise NoSuchCaptureError("nothing in this capture costs anything", told.id)
    source = (told.id, span[0], span[1], account or priced.name)
    made = content(result, to, form, source)
    _write(output or Path(file_name(told.name or told.id, to, form)), made)


def _write(target: Path, content: bytes) -> None:
    from stackledger.commands.common import write_bytes

    if str(target) == "-":
        if sys.stdout.isatty() and content.startswith(b"PAR1"):
            raise UsageError("Parquet is not for a terminal", hint="-o FILE")
        sys.stdout.buffer.write(content)
        return
    write_bytes(target, content)
    typer.echo(target)


def _check(path: Path) -> None:
    """Print what a file breaks, one line each; raises StackledgerError where it breaks any."""
    from stackledger.diagnostics import printable
    from stackledger.export import focusfile, focusrules

    columns, rows = focusfile.read(path)
    broken = focusrules.check(columns, rows)
    for complaint in broken[:100]:
        typer.echo(printable(complaint))
    if broken:
        raise StackledgerError(f"{len(broken)} violations of FOCUS 1.2", path)
    typer.echo(f"{path}: {len(rows)} rows, every rule of FOCUS 1.2 that is checked holds")
