"""`stackledger model`: writes, checks and describes cost models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from stackledger.commands.common import CaptureWord, StoreOption


def init(
    word: CaptureWord = "last",
    provider: Annotated[
        str,
        typer.Option("--provider", metavar="NAME", help="Whose prices: aws, gcp, azure, onprem."),
    ] = "aws",
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where to; - for stdout.")
    ] = Path("cost-model.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    store: StoreOption = None,
) -> None:
    """Write a first model of what a capture saw: hosts, CPUs, memory, disks, traffic.

    It is valid as it is; lines marked CHOOSE are guesses to be replaced.
    """
    from datetime import UTC, datetime

    from stackledger import diagnostics
    from stackledger.analysis import modelinit
    from stackledger.analysis.costmodel import price_model
    from stackledger.analysis.pricecatalog import load_catalog
    from stackledger.commands.common import check_target, open_capture, write_text
    from stackledger.errors import UsageError
    from stackledger.report import modeltext

    to_stdout = str(output) == "-"
    if not to_stdout:
        check_target(output)
        if output.exists() and not force:
            raise UsageError("the file is there already", output, hint="--force overwrites it")
    with open_capture(word, store, assembled=False, read=set(modelinit.READS)) as (capture, db):
        seen = modelinit.observe(db, capture.manifest)
    today = datetime.now(UTC).date()
    page = modeltext.text(modelinit.propose(seen, provider, load_catalog()), today)
    price_model(page, output)
    if to_stdout:
        sys.stdout.write(page)
        return
    write_text(output, page)
    typer.echo(output)
    diagnostics.note(f"next: fill in what is marked CHOOSE, then stackledger model check {output}")


def check(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A file, or a packaged model.")],
    allow_conflicting: Annotated[
        bool, typer.Option("--allow-conflicting", help="Where sources disagree: the highest price.")
    ] = False,
    max_price_age: Annotated[
        int | None,
        typer.Option("--max-price-age", metavar="DAYS", min=0, help="Refuse older prices."),
    ] = None,
) -> None:
    """Validate a model: every fault with file, line, field and what is accepted.

    Prints what each node and disk of it costs per month.
    """
    from stackledger.analysis.costmodel import load_model
    from stackledger.report import modelview

    found = load_model(model, allow_conflicting=allow_conflicting, max_price_age_days=max_price_age)
    typer.echo(modelview.text(found), nl=False)


def schema() -> None:
    """Print the JSON Schema of a model's file, for editors.

    An editor that knows it completes and checks fields: the first line of a
    model names it, #:schema ./cost-model.schema.json
    """
    import json

    from stackledger.analysis.modelschema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


# What cli makes subcommands of: name, function, purpose.
ACTIONS = (
    ("init", init, "Write a first model from what a capture saw."),
    ("check", check, "Validate a model, and say what it costs."),
    ("schema", schema, "Print the JSON Schema of a model, for editors."),
)
