"""Options and steps that several commands share."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stackledger import diagnostics
from stackledger.errors import StackledgerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb

    from stackledger.analysis.assembly import Bands
    from stackledger.analysis.selection import Selection
    from stackledger.store import Capture


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    PARQUET = "parquet"


CaptureWord = Annotated[
    str, typer.Argument(metavar="CAPTURE", help="A capture: its folder, id, name, or `last`.")
]
CaptureWords = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CAPTURE]...", help="Captures: folders, ids, names, or `all`; default `last`."
    ),
]
StoreOption = Annotated[
    Path | None,
    typer.Option("--store", metavar="DIR", help="Where captures are; default $STACKLEDGER_STORE."),
]
FormatOption = Annotated[
    Format | None, typer.Option("--format", help="Default: table on a terminal, else csv.")
]
RowsOption = Annotated[
    Format | None, typer.Option("--format", help="Rows instead of the text for people.")
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=1, help="Print at most N rows.")
]
LayersOption = Annotated[
    Path | None,
    typer.Option("--layers", metavar="FILE", help="Your own layer rules: field,pattern,layer."),
]

FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="Begin there: +10s, -10s, 17:05:09, or ISO (UTC)."),
]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="End before that; like --from.")
]
LastOption = Annotated[
    str | None, typer.Option("--last", metavar="TIME", help="That much before the end: 30s.")
]
PidsOption = Annotated[
    list[int] | None,
    typer.Option("--pid", metavar="N", min=0, help="Of this process; may be repeated."),
]
CommsOption = Annotated[
    list[str] | None,
    typer.Option("--comm", metavar="NAME", help="Of a process or thread of this name."),
]
ContainersOption = Annotated[
    list[str] | None,
    typer.Option("--container", metavar="ID", help="Of a container or cgroup: its id or path."),
]
LayerOption = Annotated[
    list[str] | None,
    typer.Option("--layer", metavar="NAME", help="Of processes of this layer: database, …"),
]


def chosen_store(store: Path | None) -> Path:
    """Return the store that was asked for, or the default one."""
    from stackledger.place import default_store

    return store or default_store()


def chosen_format(wanted: Format | None) -> Format:
    """Return the format asked for; without one, what suits standard output."""
    return wanted or (Format.TABLE if sys.stdout.isatty() else Format.CSV)


def chosen_part(
    begin: str | None = None,
    until: str | None = None,
    last: str | None = None,
    pids: Sequence[int] | None = None,
    comms: Sequence[str] | None = None,
    containers: Sequence[str] | None = None,
    layers: Sequence[str] | None = None,
) -> Selection:
    """Return the part of a capture that the options name: all of it where they name none."""
    from stackledger.analysis.chosen import Processes
    from stackledger.analysis.selection import Selection
    from stackledger.analysis.timerange import TimeRange

    return Selection(
        TimeRange(begin, until, last),
        Processes(
            tuple(pids or ()), tuple(comms or ()), tuple(containers or ()), tuple(layers or ())
        ),
    )


def pair(word: str) -> tuple[str, str]:
    """Return name and value of a --param; raises UsageError."""
    key, equals, value = word.partition("=")
    if not equals or not key:
        raise UsageError("a parameter is written name=value", word)
    return key, value


@contextmanager
def open_capture(
    word: str,
    store: Path | None,
    *,
    layers: Path | None = None,
    assembled: bool = True,
    part: Selection | None = None,
    read: set[str] | None = None,
    bands: Bands | None = None,
) -> Iterator[tuple[Capture, duckdb.DuckDBPyConnection]]:
    """Find a capture and connect to it; says on standard error what weakens its answers.

    With `part`, the connection shows that part alone; `assembled` says whether requests
    are read; `read` are the views that are, without it all. With `bands`, the
    assembled relations hold the transactions of these bands alone. Raises
    StackledgerError with the file's name where a part is broken.
    """
    import duckdb

    from stackledger.analysis.assembly import assemble
    from stackledger.analysis.selection import narrow
    from stackledger.store import broken_part, connect, find
    from stackledger.views import define

    capture = find(word, chosen_store(store))
    warn_of_gaps(capture)
    try:
        whole = not assembled and read is None
        with connect(capture, layers=layers, with_views=whole) as connection:
            if part:
                narrow(connection, part, capture.tables.values(), ledger=assembled)
            if assembled:
                assemble(connection, bands=bands, read=read)
            elif read is not None:
                define(connection, read)
            yield capture, connection
    except (duckdb.Error, StackledgerError) as failure:
        # DuckDB's own words seldom say which file it was.
        suspicious = isinstance(failure, duckdb.Error) or type(failure) is StackledgerError
        broken = broken_part(capture) if suspicious else None
        if broken is None:
            raise
        raise StackledgerError(
            "a part of the capture cannot be read",
            broken,
            hint="move that file out of the capture's folder: the other parts still answer",
        ) from failure


def warn_of_gaps(capture: Capture) -> None:
    """Say what the capture lost, and that it is not whole where it is not."""
    told = capture.manifest
    if capture.condition:
        diagnostics.warning(f"{told.name or told.id}: {capture.condition}")
    if told.kept_from_ns:
        from stackledger.report.format import timestamp

        diagnostics.note(
            f"{told.name or told.id}: from {timestamp(told.kept_from_ns)} on; what is older was"
            " dropped (--keep, --max-size)"
        )
    lost = sum(one.lost or 0 for one in told.losses)
    undecodable = sum(one.undecodable for one in told.losses)
    received = sum(one.received for one in told.losses)
    if lost or undecodable:
        from stackledger.report.format import count, share

        total = received + lost + undecodable
        diagnostics.warning(
            f"{count(lost + undecodable)} of {count(total)} rows"
            f" ({share((lost + undecodable) / total)}) were lost: figures are too low by as much"
        )


def check_percentile(percentile: float) -> None:
    """Refuse what is no percentile, before the work; raises UsageError."""
    if not 0 < percentile < 100:
        raise UsageError("percentile is not between 0 and 100", f"{percentile:g}")


def check_target(path: Path) -> None:
    """Refuse a place where no file can be written, before the work that would fill it.

    Raises UsageError.
    """
    if path.is_dir():
        raise UsageError("not a file but a folder", path, hint=f"-o {path / 'report.html'}")
    if not path.parent.is_dir():
        raise UsageError("no such folder", path.parent, hint=f"mkdir -p {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError("no file can be written here", path.parent, hint="choose another: -o FILE")


def write_text(path: Path, content: str) -> None:
    """Write a text in UTF-8 as `write_bytes` does."""
    write_bytes(path, content.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; a device or pipe is written to as it is."""
    special = path.exists() and not path.is_file()
    temporary = path if special else path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            if not special:
                os.fsync(file.fileno())
        if not special:
            temporary.replace(path)
    except OSError as failure:
        raise StackledgerError("cannot write", f"{path}: {failure.strerror}") from None
    finally:
        if not special:
            temporary.unlink(missing_ok=True)
