"""Which rows of a long recording are too old to keep, and the account of those that went."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stackledger import parts
from stackledger.capture.inventory import Inventory, Part, has_time
from stackledger.manifest import Dropped, Manifest
from stackledger.schema import TABLES

# Dropping costs two waits for the disk: it is done once per so much of what is kept.
_STEP = 20
# Of `max_bytes` so much is for what is being written and merged at the moment.
_RESERVE = 16
_MERGED = 64
_NEWEST_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Retention:
    """How long rows are kept, and how much all parts may take on disk; None without bound."""

    keep_ns: int | None = None
    max_bytes: int | None = None

    @property
    def merged_bytes(self) -> int | None:
        """How large a merged part may be, so that dropping one drops little."""
        return None if self.max_bytes is None else self.max_bytes // _MERGED


def bound(kept: Retention, inventory: Inventory, size_bytes: int, since_ns: int) -> int | None:
    """Return the time before which rows are to be dropped now, None where none are.

    `size_bytes` is what all parts take, `since_ns` from when on rows are kept until now.
    """
    bounds = []
    if kept.keep_ns is not None:
        length_ns = inventory.newest_ns - since_ns
        if length_ns > kept.keep_ns + kept.keep_ns // _STEP:
            bounds.append(inventory.newest_ns - kept.keep_ns)
    if kept.max_bytes is not None:
        most = kept.max_bytes - kept.max_bytes // _RESERVE
        if size_bytes > most:
            bounds.append(_by_size(inventory, size_bytes - most + kept.max_bytes // _STEP))
    found = max(bounds, default=0)
    return found if found > since_ns else None


def _by_size(inventory: Inventory, excess: int) -> int:
    old = [part for table in inventory.tables.values() for part in table]
    found = 0
    for until_ns, size in sorted(
        (part.held.until_ns or 0, part.held.size_bytes)
        for part in old
        if has_time(part.table, part.held)
    ):
        found = until_ns + 1
        excess -= size
        if excess <= 0:
            break
    return min(found, inventory.newest_ns - _NEWEST_NS)


def note(manifest: Manifest, before_ns: int, gone: list[Part]) -> None:
    """Write into the manifest from when on the capture is complete, and which parts went."""
    manifest.kept_from_ns = before_ns
    known = {one.table: one for one in manifest.dropped}
    for part in gone:
        one = known.setdefault(part.table, Dropped(table=part.table, through=0, rows=0))
        one.through = max(one.through, part.last)
        one.rows += part.held.rows
    manifest.dropped = list(known.values())


def account(manifest: Manifest, folder: Path) -> None:
    """Tell for each account how many of its rows are not kept: gone, or too old to be shown."""
    if not manifest.kept_from_ns:
        return
    gone = {one.table: one for one in manifest.dropped}
    for loss in manifest.losses:
        known = TABLES.get(loss.table)
        if known is None or not known.whole:
            one = gone.get(loss.table, Dropped(table=loss.table, through=0, rows=0))
            shown = parts.current(folder / loss.table, one.through)
            loss.dropped = one.rows + sum(_older(part, manifest.kept_from_ns) for part in shown)


def _older(path: Path, before_ns: int) -> int:
    """Return how many rows of a part are older: of most parts the bounds tell that none is."""
    older = 0
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            at = names.index("ts_ns") if "ts_ns" in names else None
            for group in range(file.num_row_groups if at is not None else 0):
                bounds = file.metadata.row_group(group).column(at).statistics
                if bounds is None or not bounds.has_min_max or bounds.min < before_ns:
                    times = file.read_row_group(group, columns=["ts_ns"], use_threads=False)
                    older += pc.sum(pc.less(times.column("ts_ns"), before_ns)).as_py() or 0
    except (pa.ArrowException, OSError):
        return 0  # none of its rows is shown
    return older
