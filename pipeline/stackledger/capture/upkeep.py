"""Keeps a long recording's parts few: merges them beside it, and removes what is not read."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from stackledger import diagnostics
from stackledger.capture.compaction import MOST_BYTES, choose, merge
from stackledger.capture.inventory import Inventory, Part, has_time
from stackledger.capture.manifest import encoded, write
from stackledger.capture.retention import Retention, bound, note
from stackledger.manifest import Manifest
from stackledger.parts import file_name
from stackledger.reading import removing

# Whoever reads for longer than that has to ask again.
_READERS_S = 600.0
_LAST_READERS_S = 5.0  # at the end of the recording
_LEAST_URGENT = 19


@dataclass(frozen=True, slots=True)
class Pace:
    """When parts are merged: `fan_in` of them, once the recording lasts `settled_s`.

    A short one is over before that would pay. `kept` is what is not dropped.
    """

    fan_in: int = 64
    settled_s: int = 120
    kept: Retention = field(default_factory=Retention)


class Upkeep:
    """The lasting parts of a capture that is being recorded."""

    def __init__(
        self,
        folder: Path,
        pace: Pace,
        submit: Callable[[Callable[[], bool]], Future[bool]],
        manifest: Manifest | None,
    ) -> None:
        self.inventory = Inventory()
        self._folder = folder
        self._pace = pace
        self._submit = submit
        self._manifest = manifest  # None where all is kept
        self._most_bytes = min(MOST_BYTES, pace.kept.merged_bytes or MOST_BYTES)
        self._dropping: tuple[list[Part], Future[bool]] | None = None
        self._merger = ThreadPoolExecutor(1, "merger", initializer=_step_back)
        self._merging: tuple[list[Part], Future[Part]] | None = None
        self._left_alone: set[str] = set()
        self._useless: list[Part] = []
        self._useless_since = 0.0
        self._removing: tuple[list[Part], Future[bool]] | None = None
        self._calls = 0

    def tick(self, unfinished_bytes: int = 0) -> None:
        """Do what is due, in the background; to be called every second.

        `unfinished_bytes` is what parts take that still grow.
        """
        self._calls += 1
        self._collect()
        self._drop(unfinished_bytes)
        self._remove()
        if self._calls > self._pace.settled_s:
            self._merge(ending=False)

    def close(self, hurry: Callable[[], bool]) -> None:
        """Merge what is left of a long recording, unless there is a `hurry`, and end."""
        if self._dropping is not None:
            self._dropping[1].exception()
        while self._merging is not None and not hurry():
            self._wait()
        while self._calls > self._pace.settled_s and not hurry() and self._merge(ending=True):
            self._wait()
        self.abort()
        self._collect()
        patience = time.monotonic() + _LAST_READERS_S
        while self._useless and not _remove(
            self._folder, self._useless, insist=hurry() or time.monotonic() > patience
        ):
            time.sleep(0.1)

    def abort(self) -> None:
        """Let what is under way end, and begin nothing."""
        self._merger.shutdown(wait=True)

    def _wait(self) -> None:
        if self._merging is not None:
            self._merging[1].exception()
        self._collect()

    def _merge(self, *, ending: bool) -> bool:
        """Begin the next merge; False where one is under way, or there is nothing to merge."""
        if self._merging is not None:
            return False
        for table, parts in self.inventory.tables.items():
            if table in self._left_alone:
                continue
            goes = all(has_time(table, part.held) for part in parts[:1])
            most_bytes = self._most_bytes if goes else MOST_BYTES
            if run := choose(parts, self._pace.fan_in, most_bytes, ending=ending):
                self._merging = run, self._merger.submit(merge, self._folder, run)
                return True
        return False

    def _drop(self, unfinished_bytes: int) -> None:
        """Have what is too old forgotten: the manifest says so before any file goes."""
        if self._manifest is None or self._dropping is not None:
            return
        since_ns, size = self._manifest.begin_ns, self.inventory.size_bytes + unfinished_bytes
        before_ns = bound(self._pace.kept, self.inventory, size, since_ns)
        if before_ns is None:
            return
        merging = set(self._merging[0]) if self._merging else set()
        gone = self.inventory.drop(before_ns, merging)
        note(self._manifest, before_ns, gone)
        content = encoded(self._manifest)

        def save() -> bool:
            write(content, self._folder)
            return True

        self._dropping = gone, self._submit(save)

    def _collect(self) -> None:
        if self._merging is not None and self._merging[1].done():
            (run, merged), self._merging = self._merging, None
            try:
                self.inventory.replace(merged.result())
                self._no_longer_read(run)
            except (OSError, pa.ArrowException) as failure:
                # The parts are as good as before, there are only more of them.
                self._left_alone.add(run[0].table)
                diagnostics.warning(f"parts of {run[0].table} are not merged: {failure}")
        if self._dropping is not None and self._dropping[1].done():
            (gone, saved), self._dropping = self._dropping, None
            if saved.result():
                self._no_longer_read(gone)
        if self._removing is not None and self._removing[1].done():
            (parts, removed), self._removing = self._removing, None
            if removed.result():
                self._useless = [part for part in self._useless if part not in parts]

    def _no_longer_read(self, parts: Sequence[Part]) -> None:
        if not self._useless:
            self._useless_since = time.monotonic()
        self._useless += parts

    def _remove(self) -> None:
        if self._useless and self._removing is None:
            parts = list(self._useless)
            insist = time.monotonic() - self._useless_since > _READERS_S
            self._removing = (
                parts,
                self._submit(lambda: _remove(self._folder, parts, insist=insist)),
            )


def _remove(folder: Path, parts: Sequence[Part], *, insist: bool) -> bool:
    """Remove files; False where somebody may be reading them, unless `insist`."""
    alone = removing(folder)
    if alone is None and not insist:
        return False
    for part in parts:
        (folder / part.table / file_name(part.first, part.last)).unlink(missing_ok=True)
    if alone is not None:
        alone.release()
    return True


def _step_back() -> None:
    """Let everything else on this host come before the calling thread."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LEAST_URGENT)
