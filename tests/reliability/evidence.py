"""What is in a store after a fault, read without stackledger's own store: parts and manifest."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from capturing import Load
from numbered import Event, caused

from stackledger.cli import main


@dataclass(frozen=True, slots=True)
class Said:
    """What a command left: its exit code and both streams."""

    code: int
    out: str
    err: str


def say(*words: str) -> Said:
    """Run a command of stackledger in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(words)
    return Said(code, out.getvalue(), err.getvalue())


def captures(store: Path) -> list[Path]:
    """Return the folders of all captures of a store that have a manifest."""
    return sorted(path.parent for path in store.glob("dt=*/host=*/capture=*/capture.json"))


def told(folder: Path) -> dict[str, Any]:
    """Return the manifest."""
    found: dict[str, Any] = json.loads((folder / "capture.json").read_text())
    return found


def parts(folder: Path) -> tuple[dict[str, int], list[str]]:
    """Return the rows of each table, and the parts that cannot be read to their end."""
    rows: Counter[str] = Counter()
    broken = []
    for part in sorted(folder.glob("*/part-*.parquet")):
        try:
            rows[part.parent.name] += pq.read_table(part, partitioning=None).num_rows
        except (pa.ArrowException, OSError) as failure:
            broken.append(f"{part.parent.name}/{part.name}: {failure}")
    return dict(rows), broken


def numbers(folder: Path, table: str, load: Load) -> Counter[int]:
    """Return how often each numbered event is in a table's parts that can be read."""
    found: Counter[int] = Counter()
    for part in folder.glob(f"{table}/part-*.parquet"):
        for path in pq.read_table(part, columns=["path"], partitioning=None)["path"].to_pylist():
            if path.startswith(f"{load.prefix}/"):
                found[int(path.rpartition("/")[2])] += 1
    return found


def expected(folder: Path, table: str, load: Load, until_ns: int) -> Sequence[Event]:
    """Return the events that began when all probes were in place, and ended before `until_ns`."""
    manifest = told(folder)
    begun = manifest["started_ns"] - manifest["clock_offset_ns"]
    events = caused(load.clocks, table)
    return [one for one in events if one.before_ns >= begun and one.after_ns <= until_ns]


@dataclass(frozen=True, slots=True)
class Kept:
    """One table: events that had to be recorded, were, twice; since when one is missing."""

    events: int
    kept: int
    twice: int
    lost_s: float  # from the first event that is missing to the fault


def kept(folder: Path, table: str, load: Load, until_ns: int) -> Kept:
    """Compare what was caused until then with what is there."""
    found = numbers(folder, table, load)
    wanted = expected(folder, table, load, until_ns)
    missing = [one for one in wanted if one.number not in found]
    return Kept(
        len(wanted),
        len(wanted) - len(missing),
        sum(count > 1 for count in found.values()),
        (until_ns - missing[0].before_ns) / 1e9 if missing else 0.0,
    )
