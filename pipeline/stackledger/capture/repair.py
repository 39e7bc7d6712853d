"""Finishes a capture whose recording was cut off: its parts are checked, its account is made."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stackledger import parts
from stackledger.capture.manifest import save
from stackledger.capture.retention import account
from stackledger.manifest import Loss, Manifest

CUT_OFF = "cut off"
_SET_ASIDE = ".broken"
_UNFINISHED = ".*.tmp"


@dataclass(slots=True)
class Repaired:
    """What was done: rows by table, files that could not be read, files never finished."""

    rows: dict[str, int] = field(default_factory=dict)
    set_aside: list[Path] = field(default_factory=list)
    removed: int = 0


def repair(folder: Path, manifest: Manifest, ended_ns: int) -> Repaired:
    """Make a cut-off capture a finished one, and save its manifest.

    A part that cannot be read to its end is renamed, and no longer read. What the kernel
    produced nobody was there to hear, so the account has what was received alone.
    `ended_ns` is since the epoch. Raises StackledgerError where the folder cannot be written.
    """
    done = Repaired()
    dropped = {one.table: one.through for one in manifest.dropped}
    for leftover in (*folder.glob(_UNFINISHED), *folder.glob(f"*/{_UNFINISHED}")):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        done.removed += 1
    for table in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        _check(table, done, dropped.get(table.name, 0))
    received = dict(done.rows)
    for one in manifest.dropped:
        received[one.table] = received.get(one.table, 0) + one.rows
    printed = {table for run in manifest.probes for table in run.tables}
    manifest.losses = [
        Loss(table=table, produced=None, received=rows, lost=None, undecodable=0)
        for table, rows in sorted(received.items())
        if table in printed
    ]
    account(manifest, folder)
    for run in manifest.probes:
        if run.state in ("starting", "recording"):
            run.state, run.error = "failed", CUT_OFF
            run.rows = sum(received.get(table, 0) for table in run.tables)
    manifest.state, manifest.error, manifest.writer_pid = "failed", CUT_OFF, 0
    manifest.size_bytes = parts.size_bytes(folder)
    manifest.ended_ns = max(ended_ns, manifest.started_ns)
    save(manifest, folder)
    return done


def _check(table: Path, done: Repaired, dropped: int) -> None:
    """Count a table's rows, set aside what cannot be read, remove what is not read any more."""
    checked: dict[Path, int] = {}
    # Behind a merged part that is broken there may be those that it was merged from.
    while unknown := [part for part in parts.current(table, dropped) if part not in checked]:
        for part in unknown:
            rows = _rows(part)
            if rows is None:
                done.set_aside.append(part.rename(part.with_name(part.name + _SET_ASIDE)))
            else:
                checked[part] = rows
    for part in parts.replaced(table, dropped):
        part.unlink()
        done.removed += 1
    if checked:
        done.rows[table.name] = sum(checked.values())


def _rows(part: Path) -> int | None:
    """Return the rows of a part, None where it cannot be read to its end."""
    try:
        with pq.ParquetFile(part) as file:
            return sum(int(batch.num_rows) for batch in file.iter_batches())
    except (pa.ArrowException, OSError):
        return None
