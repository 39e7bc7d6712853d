"""How fast bpftrace's lines become Parquet on one core, beside others' readers of JSON.

    python bench/ingest.py [--rows 1000000]

Lines as bpftrace prints them, with the spread of values of a busy host, are generated
once; decoder, naming of requests, clock and writer take them as a capture does, in
pieces of four megabytes, on one core. DuckDB, polars, pyarrow and orjson (readers.py)
read the same file with one thread and write the same columns; they name no request and
unescape no bytes. CPU seconds count, of all threads: neighbours on the host do not.
"""

from __future__ import annotations

import argparse
import gzip
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pipeline"))

import os

os.environ["POLARS_MAX_THREADS"] = "1"  # read when it is imported

import pyarrow as pa
import readers

from stackledger import catalog, resources
from stackledger.capture.intake import Intake
from stackledger.capture.writer import PartWriter

_PIECE_BYTES = 4 << 20
_REPEATS = 5
_REQUESTS = (
    "GET /api/orders/{0}?page={1} HTTP/1.1\\\\x0d\\\\x0aHost: shop.example\\\\x0d\\\\x0aUser-",
    "Q\\\\x00\\\\x00\\\\x00;SELECT abalance FROM pgbench_accounts WHERE aid = {0};\\\\x00",
    "B\\\\x00\\\\x00\\\\x00 \\\\x00S_{1}\\\\x00\\\\x00\\\\x00\\\\x00\\\\x04{0}",
    "*2\\\\x0d\\\\x0a$3\\\\x0d\\\\x0aGET\\\\x0d\\\\x0a$12\\\\x0d\\\\x0aorder:{0}\\\\x0d\\\\x0a",
)


def block_io(rows: int) -> Iterator[str]:
    """Yield printed rows of block_io.tracepoint: 30 000 I/Os a second."""
    spread = random.Random(1)
    ts = 10**13
    for _ in range(rows):
        ts += spread.randrange(2_000, 60_000)
        pid = spread.choice((811, 812, 2204, 31_337))
        comm = spread.choice(("postgres", "postgres", "fio", "jbd2/vda-8"))
        sector, size = 8 * spread.randrange(1 << 26), spread.choice((4096, 4096, 8192, 65536))
        kind = spread.choice(("R", "R", "WS", "RA"))
        queue, device = spread.randrange(2_000, 9_000), int(spread.lognormvariate(12, 0.6))
        yield (
            f'{{"type": "value", "data": ["block_io",{ts},{pid},{pid},"{comm}",266338304,'
            f'{sector},{size},"{kind}",{queue},{device},0]}}\n'
        )


def request(rows: int) -> Iterator[str]:
    """Yield printed rows of request_ledger's request: four protocols, ids that all differ.

    Times are those of the shipped recording, each up to a fifth shorter or longer.
    """
    spread = random.Random(2)
    columns = next(
        one.columns for one in catalog.probe("request_ledger").emits if one.table == "request"
    )
    recorded = list(_recorded(columns))
    times = [name for name in columns if name.endswith("_ns")]
    ts = 10**13
    for number in range(rows):
        ts += spread.randrange(10_000, 90_000)
        values = dict(spread.choice(recorded))
        values["recv_ts_ns"] -= values["ts_ns"]
        for name in times:
            values[name] = int(values[name] * spread.uniform(0.8, 1.2))
        sock = -131387293400000 + 128 * spread.randrange(64)
        values |= {"ts_ns": ts, "recv_ts_ns": ts + values["recv_ts_ns"], "sock": sock}
        values |= {"conn_ts_ns": 10**13 - sock % 997}
        form = _REQUESTS[number % len(_REQUESTS)]
        first = form.format(spread.randrange(10**6), number % 9)
        text = "\x7f".join(str(values[name]) for name in columns if name != "first")
        yield f'{{"type": "printf", "data": "request\x7f{text}\x7f{first}\\n"}}\n'


def _recorded(columns: tuple[str, ...]) -> Iterator[dict[str, int]]:
    """Yield the recording's rows of whole requests, without their first bytes."""
    recording = resources.folder("recordings") / "demo" / "request_ledger.jsonl.gz"
    with gzip.open(recording, "rt") as lines:
        for line in lines:
            if line.startswith('{"type": "printf", "data": "request\\t'):
                parts = line.split("\\t")[1:]
                yield dict(zip(columns[:-1], map(int, parts[: len(columns) - 1]), strict=True))


def ours(probe: str, file: Path, store: Path) -> int:
    """Take the file as a capture does; return the bytes written."""
    intake = Intake(catalog.probe(probe), "")
    intake.offset_ns = 10**18
    writer = PartWriter(store)
    with file.open("rb") as lines:
        while data := lines.read(_PIECE_BYTES):
            intake.take(data)
            for table, rows in intake.rows():
                writer.add(table, rows)
    writer.close()
    broken = sum(loss.undecodable for loss in intake.losses())
    assert broken == 0, f"{broken} lines could not be decoded"
    return writer.bytes


def measure(what: Callable[[str, Path, Path], int], probe: str, file: Path) -> tuple[float, int]:
    """Return the fewest CPU seconds of a few runs, and the bytes written."""
    best, size = float("inf"), 0
    for _ in range(_REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.process_time()
            size = what(probe, file, Path(folder) / "part")
            best = min(best, time.process_time() - begun)
    return best, size


def main() -> None:
    """Print a table: rows a second and core, bytes a row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    pa.set_cpu_count(1)
    cases = (("block_io", "block_io.tracepoint", block_io), ("request", "request_ledger", request))
    print(f"{'table':10}{'reader':13}{'rows/s/core':>14}{'MB/s':>8}{'bytes/row':>11}")
    with tempfile.TemporaryDirectory() as folder:
        for table, probe, lines in cases:
            file = Path(folder) / f"{table}.jsonl"
            with file.open("w", encoding="ascii") as written:
                written.writelines(lines(rows))
            for name, reader in {"stackledger": ours, **readers.READERS[table]}.items():
                seconds, size = measure(reader, probe, file)
                speed = file.stat().st_size / seconds / 1e6
                print(
                    f"{table:10}{name:13}{rows / seconds:14,.0f}{speed:8.0f}{size / rows:11.1f}",
                    flush=True,
                )


main()
