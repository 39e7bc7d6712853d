"""Measures how long a large store takes to answer.

    python bench/store.py [--captures 1000] [--gigabytes 10]

A store of many small captures, copies of the demo's recording, is listed and searched;
then one capture of so many gigabytes, its block I/O repeated second after second in parts
as a long recording leaves them, is asked for ten seconds in its middle. Each command is a
process of its own: three times, the fastest. Figure to hold: 1 s each. Below /var/tmp.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stackledger import resources
from stackledger.capture import compaction
from stackledger.capture.manifest import save
from stackledger.capture.partfile import encoding
from stackledger.capture.replay import replay
from stackledger.capture.writer import arrow_schema
from stackledger.manifest import Manifest, load
from stackledger.parts import file_name

RATE_HZ = 20_000
S = 10**9


def fill(store: Path, captures: int) -> Path:
    """Make a store of copies of one capture; return the folder of the last."""
    (folder,) = store.glob("dt=*/host=*/capture=*")
    told = load(folder)
    copy = folder
    for number in range(1, captures):
        copy = folder.with_name(f"capture=copy-{number:04d}")
        shutil.copytree(folder, copy)
        again = msgspec.json.decode(msgspec.json.encode(told), type=Manifest)
        again.id, again.name = f"copy-{number:04d}", f"night-{number}"
        again.started_ns += number
        save(again, copy)
    return copy


def pattern_of_io(schema: pa.Schema, rows: int) -> pa.Table:
    """Return rows whose times begin at 0."""
    chance = random.Random(5)
    columns = {
        "ts_ns": [at * (S // RATE_HZ) + chance.randrange(S // RATE_HZ) for at in range(rows)],
        "pid": chance.choices(range(100, 140), k=rows),
        "tid": chance.choices(range(100, 400), k=rows),
        "comm": chance.choices(["postgres", "nginx", "kworker/u8:1"], k=rows),
        "dev": [254 << 20] * rows,
        "sector": [chance.getrandbits(34) for _ in range(rows)],
        "bytes": chance.choices([4096, 8192, 16384], k=rows),
        "rwbs": chance.choices(["R", "WS", "FF"], k=rows),
        "queue_ns": [chance.getrandbits(62) for _ in range(rows)],
        "device_ns": [chance.getrandbits(62) for _ in range(rows)],
        "error": [0] * rows,
    }
    return pa.table(columns, schema=schema)


def enlarge(folder: Path, size_bytes: int) -> int:
    """Make the capture's block I/O as large as that; return how many parts it has."""
    told, table = load(folder), folder / "block_io"
    shutil.rmtree(table)
    table.mkdir()
    rows, written, number = compaction.MOST_ROWS, 0, 0
    length_ns = rows * (S // RATE_HZ)
    pattern = pattern_of_io(arrow_schema("block_io"), rows)
    how = encoding(pattern, lasting=True)
    while written < size_bytes:
        times = pc.add(pattern.column("ts_ns"), told.started_ns + number * length_ns)
        number += 1
        path = table / file_name(number, number)
        part = pattern.set_column(0, "ts_ns", times)
        pq.write_table(part, path, row_group_size=compaction.GROUP_ROWS, store_schema=False, **how)
        written += path.stat().st_size
    told.ended_ns = told.started_ns + number * length_ns
    told.size_bytes = written
    save(told, folder)
    return number


def timed(store: Path, *words: str) -> None:
    """Print how long a command takes, and how much of that it computes."""
    took = []
    for _ in range(3):
        begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "stackledger", *words],
            check=True,
            capture_output=True,
            env={**os.environ, "STACKLEDGER_STORE": str(store)},
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        took.append((time.monotonic() - begun, cpu_s))
    wall_s, cpu_s = min(took)
    print(f"{wall_s:6.2f} s, {cpu_s:.2f} s of CPU  stackledger {' '.join(words)}", flush=True)


def main() -> int:
    """Make the store, ask it, remove it."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--captures", type=int, default=1000)
    words.add_argument("--gigabytes", type=float, default=10)
    asked = words.parse_args()
    size = int(asked.gigabytes * 10**9)
    with tempfile.TemporaryDirectory(prefix="stackledger-store-", dir="/var/tmp") as scratch:
        if shutil.disk_usage(scratch).free < 2 * size:
            print(f"too little space below {scratch}", file=sys.stderr)
            return 1
        store = Path(scratch) / "store"
        replay(resources.folder("recordings") / "demo", store)
        large = fill(store, asked.captures)
        timed(store, "captures")
        timed(store, "sql", "night-1", "SELECT count(*) FROM block_io")
        print(f"{enlarge(large, size)} parts, {asked.gigabytes:g} GB")
        middle = f"+{(load(large).ended_ns - load(large).started_ns) // 2 // S}s"
        count = "SELECT count(*), max(device_ns) FROM block_io"
        timed(store, "captures")
        timed(store, "sql", "last", "SELECT 1")
        until = f"+{int(middle[1:-1]) + 10}s"
        timed(store, "sql", "last", count, "--from", middle, "--until", until)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
