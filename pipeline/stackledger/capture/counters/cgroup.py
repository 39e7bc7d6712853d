"""CPU, memory and I/O of each cgroup: of version 1's hierarchies and of version 2's, as one tree.

A path that several hierarchies have is one row: where the old and the new
version are mounted side by side, a container has the same path in both. The
root is left out: its counters are the host's.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from stackledger.capture.counters import cgroupfiles
from stackledger.capture.counters.cgroupfiles import Folders, Numbers
from stackledger.capture.counters.files import Row, Tables, content

# Walking the tree costs more than reading the CPU time of what it holds.
_WALK_EVERY = 5
# v1's controllers that count, in the order in which they are believed; then v2.
_CONTROLLERS = ("cpuacct", "cpu", "memory", "blkio", "pids")
UNIFIED = "cgroup2"


@dataclass(slots=True)
class _Group:
    """One path: its folder and inode in each hierarchy, and what was last read of it."""

    folders: Folders
    at_ns: int
    counts: Numbers = field(default_factory=dict)
    levels: Numbers = field(default_factory=dict)


class Cgroups:
    """Rows of cgroup_stat."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._calls = 0
        self._walked_ns = 0

    def rows(self, now_ns: int) -> Tables:
        """Return what was counted in each cgroup whose counters moved since its last row.

        A cgroup that came since the last look at the tree counts from zero.
        """
        if self._calls % _WALK_EVERY == 0:
            self._walk(now_ns)
        self._calls += 1
        rows = (self._row(path, group, now_ns) for path, group in self._groups.items())
        return {"cgroup_stat": [row for row in rows if row is not None]}

    def _walk(self, now_ns: int) -> None:
        first = self._calls == 0
        found = tree(hierarchies(content("/proc/self/mounts").decode("utf-8", "surrogateescape")))
        groups = {}
        for path, folders in found.items():
            known = self._groups.get(path)
            if known is not None and known.folders == folders:
                groups[path] = known
                continue
            group = _Group(folders, now_ns if first else self._walked_ns)
            if first:
                group.counts, group.levels = cgroupfiles.read(folders)
            groups[path] = group
        self._groups, self._walked_ns = groups, now_ns

    def _row(self, path: str, group: _Group, now_ns: int) -> Row | None:
        if now_ns == group.at_ns or not cgroupfiles.moved(group.folders, group.counts):
            return None
        counts, levels = cgroupfiles.read(group.folders)
        grown = {name: value - group.counts.get(name, 0) for name, value in counts.items()}
        if (counts, levels) == (group.counts, group.levels):
            return None
        interval_ns = now_ns - group.at_ns
        group.counts, group.levels, group.at_ns = counts, levels, now_ns
        if not _same(group.folders) or any(value < 0 for value in grown.values()):
            return None
        name = os.fsencode(path).decode("utf-8", "replace")
        return {"interval_ns": interval_ns, "cgroup": name, **grown, **levels}


def hierarchies(mounts: str) -> dict[str, Path]:
    """Return where each counting controller of version 1, and version 2, is mounted."""
    found: dict[str, Path] = {}
    for line in mounts.split("\n"):
        words = line.split(" ")
        if len(words) < 4:
            continue
        folder, kind, options = Path(words[1].replace("\\040", " ")), words[2], words[3]
        if kind == UNIFIED:
            found.setdefault(UNIFIED, folder)
        elif kind == "cgroup":
            for controller in set(_CONTROLLERS) & set(options.split(",")):
                found.setdefault(controller, folder)
    return found


def tree(roots: dict[str, Path]) -> dict[str, Folders]:
    """Return every cgroup below the roots: its folder and inode in each hierarchy."""
    found: dict[str, Folders] = {}
    for name, root in roots.items():
        pending = [str(root)]
        while pending:
            with suppress(OSError), os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                        path = entry.path[len(str(root)) :]
                        found.setdefault(path, {})[name] = (entry.path, entry.inode())
    return found


def _same(folders: Folders) -> bool:
    """Return whether no folder is another of the same name by now."""
    with suppress(OSError):
        return all(os.stat(path).st_ino == inode for path, inode in folders.values())  # noqa: PTH116
    return False
