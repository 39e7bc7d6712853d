"""`stackledger repair`: finish a capture whose recording was cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from stackledger import diagnostics
from stackledger.commands.common import CaptureWord, StoreOption, chosen_store
from stackledger.errors import StackledgerError, UsageError

if TYPE_CHECKING:
    from stackledger.store import Capture


def repair(word: CaptureWord = "last", store: StoreOption = None) -> None:
    """Finish a capture whose recording was cut off, by a kill or a power cut.

    Checks every part, sets aside what cannot be read, and makes the account that the
    recording could not. Nothing that was recorded is deleted.
    """
    from stackledger.capture.private import hand_over
    from stackledger.capture.repair import repair as finish
    from stackledger.report.format import count
    from stackledger.store import find

    capture = find(word, chosen_store(store))
    told = capture.manifest
    if capture.being_written:
        raise UsageError(
            "it is still being written", capture.folder, hint="end it: Ctrl-C where it was started"
        )
    if told.state != "recording":
        diagnostics.note(f"nothing to repair: its recording ended ({told.state})")
        return
    try:
        done = finish(capture.folder, told, capture.last_ts_ns)
    except OSError as failure:
        raise StackledgerError(
            "cannot repair the capture",
            f"{capture.folder}: {failure.strerror}",
            hint="a capture is its owner's: root's, or whose sudo recorded it",
        ) from None
    for path in done.set_aside:
        diagnostics.warning(f"cannot be read, set aside: {path}")
    _link(capture)
    hand_over(capture.folder)
    rows = sum(done.rows.values())
    typer.echo(
        f"{told.name or told.id}: {count(rows)} rows in {len(done.rows)} tables,"
        f" {(told.ended_ns - told.started_ns) / 1e9:.1f} s until it was cut off;"
        f" {done.removed} unfinished files removed, {len(done.set_aside)} set aside"
    )


def _link(capture: Capture) -> None:
    from stackledger.analysis.linking import keep

    try:
        keep(capture)
    except StackledgerError as failure:
        diagnostics.warning(str(failure))
