"""Times `stackledger attribute` and `report` as whole commands on a large capture on disk.

    python bench/attribute.py [TRANSACTIONS]

Makes a capture of 1,000,000 transactions of four layers, which are 4,000,000 requests
with their calls and block I/O, in the layout of a store, links its requests as
`stackledger capture` does at its end, and runs the commands as a user would. Figures
to hold: attribute within 3 s, report within 5 s and 3 MB.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))

from report import make

from stackledger.analysis.linking import keep
from stackledger.manifest import FILE_NAME, Machine, Manifest, Topology
from stackledger.schema import SCHEMA_VERSION, TABLES
from stackledger.store import Capture


def write(transactions: int, folder: Path) -> None:
    """Write the capture's tables as Parquet parts, and its capture.json."""
    connection = make(transactions)
    rows = 0
    for name in TABLES:
        (folder / name).mkdir(parents=True)
        # The connection of a capture writes no files.
        batches = connection.table(name).to_arrow_reader(1 << 16)
        target = folder / name / "part-000001.parquet"
        with pq.ParquetWriter(target, batches.schema, compression="zstd") as part:
            for batch in batches:
                part.write_batch(batch)
                rows += batch.num_rows
    started, ended = connection.execute("SELECT started_ts_ns, ended_ts_ns FROM capture").fetchone()
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        id="bench",
        name="bench",
        state="complete",
        host="bench",
        kernel="",
        boot_id="",
        machine=Machine(cpus=2, memory_bytes=1 << 33, arch="x86_64"),
        stackledger="",
        bpftrace="",
        started_ns=started,
        ended_ns=ended,
        options={},
        filters={},
        topology=Topology(),
        probes=[],
    )
    (folder / FILE_NAME).write_bytes(msgspec.json.encode(manifest))
    before = time.perf_counter()
    keep(Capture(folder, manifest))
    print(f"{rows:,} rows on disk, linked in {time.perf_counter() - before:.2f} s")
    for name in ("request", "call", "block_io", "linked-*"):
        size = sum(file.stat().st_size for file in folder.glob(f"{name}/*"))
        print(f"{name:12} {size / 1e6:8.1f} MB")


def timed(what: str, *words: str) -> None:
    """Run one command five times; print its shortest, middle and longest run, and its CPU time."""
    seconds, cpu = [], []
    for _ in range(5):
        before, spent = time.perf_counter(), _cpu_seconds()
        subprocess.run([sys.executable, "-m", "stackledger", *words], check=True, stdout=-3)
        seconds.append(time.perf_counter() - before)
        cpu.append(_cpu_seconds() - spent)
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    print(
        f"{what:12} {low:6.2f} / {middle:.2f} / {high:.2f} s,"
        f" {statistics.median(cpu):.2f} s of CPU",
        flush=True,
    )


def _cpu_seconds() -> float:
    """Return the CPU time of all commands that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> None:
    """Print the figures."""
    transactions = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as scratch:
        capture = Path(scratch) / "dt=2023-11-14" / "host=bench" / "capture=bench"
        write(transactions, capture)
        page = Path(scratch) / "page.html"
        timed("--help", "--help")
        timed("attribute", "attribute", str(capture))
        timed("report", "report", str(capture), "-o", str(page))
        print(f"{'page':12} {page.stat().st_size / 1e6:6.3f} MB")


if __name__ == "__main__":
    main()
