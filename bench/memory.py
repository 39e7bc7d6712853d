"""Measures whether `whatif --memory-gib` foresees the latency that more memory gives.

    python bench/memory.py

As root. PostgreSQL on a disk held at 300 reads a second and in a memory cgroup of 48 MiB,
eight callers that ask for rows by Zipf's law in 320 MB of them: recorded, foreseen with 16
and 32 MiB more, then measured there. Figure to hold: the mean within 15 %.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger import store
from stackledger.analysis.assembly import assemble
from stackledger.analysis.costmodel import load_model
from stackledger.analysis.whatif import demand, statistics
from stackledger.analysis.whatif.answer import predict
from stackledger.analysis.whatif.wanted import Wanted
from stackledger.capture.counters import cgroup as cgroups
from stackledger.labs import folders, postgres, servers, throttle

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

MIB = 1 << 20
MEMORY, MORE = 48 * MIB, (16 * MIB, 32 * MIB)
READ_IOPS, CLIENTS, WARM_S, SECONDS = 300, 8, 8.0, 30.0
NODE_GIB = Decimal(8)
MODEL = f"""
schema = "cost-model/1"
[[node]]
match = {{ host = "*" }}
sku = "aws/us-east-1/m6i.large"
memory_gib = {NODE_GIB}
[[disk]]
match = {{ host = "*", device = "*" }}
sku = "aws/us-east-1/io2"
size_gb = 500
iops = {READ_IOPS}
"""
PROBES = ("--probe", "page_reuse", "--probe", "page_cache")
ASK = """
import itertools, random, sys, threading, time
from stackledger.labs.pgwire import Connection
port, number, seconds, seed = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
weights = list(itertools.accumulate((k + 1) ** -0.8 for k in range(40000)))
places = list(range(1, 40001))
random.Random(7).shuffle(places)
end = time.monotonic() + seconds
def ask(chance):
    connection = Connection(("127.0.0.1", port), user="lab", database="postgres")
    while time.monotonic() < end:
        for place in chance.choices(places, cum_weights=weights, k=20):
            connection.query(f"SELECT count(note) FROM orders WHERE id = {place}")
    connection.close()
threads = [threading.Thread(target=ask, args=(random.Random(f"{seed} {n}"),))
           for n in range(number)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@contextmanager
def memory_cgroup() -> Iterator[Path]:
    """Make a memory cgroup of our own, and remove it when its processes have gone."""
    roots = cgroups.hierarchies(Path("/proc/self/mounts").read_text(encoding="utf-8"))
    root = roots["memory"] if "memory" in roots else roots[cgroups.UNIFIED]
    group = Path(tempfile.mkdtemp(prefix="stackledger-bench-", dir=root))
    try:
        yield group
    finally:
        for _ in range(50):
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.1)


def limit(group: Path, size: int) -> None:
    """Give the group that much memory."""
    for name in ("memory.limit_in_bytes", "memory.max"):
        if (group / name).exists():
            (group / name).write_text(str(size))


def recorded(
    home: Path, name: str, port: int, disk: throttle.Throttle
) -> duckdb.DuckDBPyConnection:
    """Return an assembled capture of the callers, after others have warmed the cache."""
    environment = {**os.environ, **servers.module_path()}
    ask = [sys.executable, "-c", ASK, str(port), str(CLIENTS)]
    disk.set(None)
    subprocess.run([*ask, str(WARM_S), "warm"], check=True, env=environment)
    disk.set(READ_IOPS)
    capture = [sys.executable, "-m", "stackledger", "capture", "--store", str(home)]
    capture += ["--name", name, *PROBES, "--", *ask, str(SECONDS), name]
    subprocess.run(capture, check=True, env=environment, capture_output=True)
    sql = store.connect(store.find(name, home))
    assemble(sql)
    return sql


def mean_ns(sql: duckdb.DuckDBPyConnection) -> float:
    """Return the mean latency of the rows' requests."""
    walls = [job.wall_ns for job in demand.read(sql).jobs if job.endpoint.startswith("SELECT")]
    return statistics.figures([float(wall) for wall in walls])["mean"]


def main() -> None:
    """Print foreseen and measured means."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        memory_cgroup() as group,
        folders.private_folder(None) as folder,
        throttle.throttle(folder) as disk,
    ):
        home, model = Path(scratch), Path(scratch) / "model.toml"
        model.write_text(MODEL)
        port = servers.free_ports(["database"])["database"]
        with postgres.database(folder, port) as database:
            disk.add(database.server.pids)
            throttle.Throttle(group, "", "").add(database.server.pids)
            database.drop_cache()
            limit(group, MEMORY)
            before = recorded(home, "before", port, disk)
            sizes = tuple(float(NODE_GIB + Decimal(more) / 2**30) for more in MORE)
            told = predict(before, load_model(model), Wanted(memories=sizes, name="memory"))
            print(f"{MEMORY // MIB} MiB: {mean_ns(before) / 1e6:.2f} ms", flush=True)
            for warning in told.warnings:
                print(f"warning: {warning}")
            for more, size in zip(MORE, sizes, strict=True):
                option = told.option(f"{size:g} GiB memory")
                limit(group, MEMORY + more)
                measured = mean_ns(recorded(home, f"more-{more // MIB}", port, disk)) / 1e6
                if option.after is None:
                    print(f"+{more // MIB} MiB: refused: {option.refused}")
                    continue
                mean = option.after.latency.mean
                print(
                    f"+{more // MIB} MiB: foreseen {mean.value / 1e6:.2f} ms"
                    f" ({mean.low / 1e6:.2f}-{mean.high / 1e6:.2f}), measured {measured:.2f} ms,"
                    f" {mean.value / 1e6 / measured - 1:+.1%}; {option.notes[1]}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
