"""`stackledger lab`: an experiment with real servers and a real fault."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stackledger import diagnostics
from stackledger.commands.common import Format, RowsOption, check_target, chosen_store, write_text
from stackledger.errors import UsageError


def lab(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Which one; without, they are listed.")
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="How long each phase is recorded.")
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            metavar="DIR",
            help="Captures and page go there; default: the store, and this folder.",
        ),
    ] = None,
    form: RowsOption = None,
) -> None:
    """Start real servers, break something, mend it; compare what each phase shows.

    Needs root. The same load runs before the fault, with it and with its cure, and
    each is recorded. The servers and all that they made are gone at the end, also
    after Ctrl-C; the captures and a page stay.
    """
    from stackledger.report import lab as labtext
    from stackledger.report import labpage, rows

    if name is None:
        _list(form)
        return
    from stackledger.capture.summary import Narrator
    from stackledger.durations import seconds
    from stackledger.labs import catalog
    from stackledger.labs.running import check_host, run
    from stackledger.labs.walking import walk

    wanted = catalog.lab(name)
    length_s = None if duration is None else seconds(duration)
    check_host(wanted)
    page = (keep or Path()) / f"{name}.html"
    if keep is not None:
        _make(keep)
    check_target(page)
    narrator = Narrator()
    result = run(wanted, keep or chosen_store(None), phase_s=length_s, on_progress=narrator.tell)
    narrator.end()
    if form is None or form is Format.TABLE:
        labtext.show(result)
        walk(wanted.steps, keep or chosen_store(None))
    else:
        rows.write(*labtext.rows(result), form)
    write_text(page, labpage.render(result))
    for phase in result.phases:
        diagnostics.note(f"capture {phase.capture.manifest.name}: {phase.capture.folder}")
    diagnostics.note(f"the page: {page}")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise UsageError("no folder can be made here", f"{folder}: {failure.strerror}") from None


def _list(form: Format | None) -> None:
    """Print every lab, what it shows, what it needs, and what of that is missing here."""
    from stackledger.labs import catalog
    from stackledger.labs.programs import install_line, missing_programs, needed_packages
    from stackledger.report import lab as labtext
    from stackledger.report import rows

    columns = ("lab", "shows", "needs", "missing")
    told = []
    for one in catalog.labs():
        missing = missing_programs(one.programs)
        needs = " ".join(needed_packages(one.programs))
        told.append((one.name, one.question, needs, install_line(missing) if missing else None))
    if form is None or form is Format.TABLE:
        labtext.listing(told)
    else:
        rows.write(columns, told, form)
