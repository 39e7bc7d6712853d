"""Empties columns of a capture: every part is written anew, whole or not at all.

The manifest says first what is being removed, and in the end what was: one that was cut
off is seen, and can be run again. What was derived from the columns goes before them.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stackledger import parts, untrusted
from stackledger.capture.manifest import save
from stackledger.capture.partfile import sync_folder
from stackledger.capture.private import opener
from stackledger.errors import StackledgerError
from stackledger.manifest import Manifest

# Words of the traced programs that say more than who waited for what.
DEFAULT = (
    *("request.payload", "process.cmdline", "exec_argument.argument", "exec.path"),
    *("file_open.path", "open_file.path"),
    *("script_line.line", "script_map.key", "script_map.text", "script_hist.key"),
)
_DERIVED = ("linked-*", ".linked-*.tmp")
_NAMED = "request.endpoint"


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """What was done: parts that were written anew, values removed, by column."""

    parts: int
    values: dict[str, int]


def default(manifest: Manifest) -> list[str]:
    """Return the columns that are emptied where none is named: those not normalised already."""
    own = [
        f"{table.name}.{column.name}"
        for table in manifest.own_tables
        for column in table.columns
        if column.kind in ("", "string")
    ]
    return [name for name in DEFAULT if name not in manifest.redaction.normalised] + own


def scrub(folder: Path, manifest: Manifest, columns: list[str]) -> Scrubbed:
    """Make every value of these columns, `table.column`, NULL, and say so in the manifest.

    Raises OSError where the folder cannot be written, StackledgerError where a part cannot
    be read: those before it are scrubbed then, and running it again does the rest.
    """
    told = manifest.redaction
    told.scrubbing = sorted({*told.scrubbing, *columns})
    if "process.cmdline" in columns:
        manifest.command = None
    for run in manifest.probes:
        run.undecodable, run.complaints = [], []
    save(manifest, folder)
    for pattern in (*_DERIVED, *(["predictions"] if _NAMED in columns else [])):
        for derived in folder.glob(pattern):
            derived.unlink() if derived.is_symlink() else shutil.rmtree(derived)
    _forget_unread(folder)
    written, values = 0, dict.fromkeys(columns, 0)
    by_table: dict[str, list[str]] = {}
    for column in columns:
        table, _, name = column.partition(".")
        by_table.setdefault(table, []).append(name)
    for table, names in by_table.items():
        for part in untrusted.parts(folder / table):
            for name, count in _emptied(folder / table / part, names).items():
                values[f"{table}.{name}"] += count
            written += 1
    manifest.size_bytes = parts.size_bytes(folder)
    told.scrubbed = sorted({*told.scrubbed, *told.scrubbing})
    told.scrubbing = []
    save(manifest, folder)
    return Scrubbed(written, values)


def _forget_unread(folder: Path) -> None:
    """Remove what nobody reads and may hold the values: parts set aside, and unfinished ones."""
    for left in (*folder.glob("*/part-*.broken"), *folder.glob("*/.part-*.tmp")):
        left.unlink()


def _emptied(part: Path, names: list[str]) -> dict[str, int]:
    """Write a part without the values of some columns; return how many there were of each."""
    try:
        with pq.ParquetFile(part) as file:
            schema = file.schema_arrow
            there = [name for name in names if name in schema.names]
            counts = dict.fromkeys(there, 0)
            if not there:
                return counts
            temporary = part.with_name(f".{part.name}.tmp")
            with open(temporary, "wb", opener=opener) as written:
                with pq.ParquetWriter(
                    written, schema, compression="zstd", store_schema=False
                ) as writer:
                    for batch in file.iter_batches():
                        rows = pa.Table.from_batches([batch])
                        for name in there:
                            at = rows.column_names.index(name)
                            column = rows.column(at)
                            counts[name] += len(column) - column.null_count
                            nothing = pa.nulls(len(column), column.type)
                            rows = rows.set_column(at, schema.field(name), nothing)
                        writer.write_table(rows)
                written.flush()
                os.fsync(written.fileno())
                before = part.stat()
                os.utime(written.fileno(), ns=(before.st_atime_ns, before.st_mtime_ns))
                with suppress(PermissionError):
                    os.fchown(written.fileno(), before.st_uid, before.st_gid)
    except pa.ArrowException as failure:
        raise StackledgerError(
            "a part of the capture cannot be read",
            f"{part}: {str(failure).splitlines()[0]}",
            hint="remove that file: what it holds cannot be scrubbed",
        ) from None
    temporary.rename(part)
    sync_folder(part.parent)
    return counts
