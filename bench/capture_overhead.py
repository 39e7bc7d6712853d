"""What a capture's own side costs beside bpftrace: CPU and memory at a given rate, as root.

    python bench/capture_overhead.py [--rows 20000] [--seconds 15]

Of the probes themselves: block_io under fio's direct reads at the rate, request_ledger
under as many requests to nginx as bpftrace can follow on two CPUs. And of printing alone,
where bpftrace does least for a row: a driver makes system calls at the rate, two at a time
as near to evenly as it can, or in bursts of 100, and a program of one probe prints a row
of block_io for each, or one of request_ledger's requests with first bytes.
Prints the CPU time of bpftrace and of the recording process while it recorded, and the
most memory that the latter held.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pipeline"))

import psutil
from workloads import all_of_them

from stackledger import catalog
from stackledger.capture import session
from stackledger.capture.bpftrace import find
from stackledger.capture.recording import Progress
from stackledger.capture.registers import constants
from stackledger.capture.session import Options, record

_HOOK = "tracepoint:syscalls:sys_enter_getpriority"
_BLOCK_IO = (
    'print(("block_io", nsecs, (int64)pid, (int64)tid, comm, (uint64)266338304,'
    ' (int64)(nsecs % 4294967296), (int64)4096, "WS", (int64)(nsecs % 9001),'
    " (int64)(nsecs % 400009), (int64)0)); @produced_block_io = count();"
)
_DRIVER = """
import os, sys, time
rate, end = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
burst, due = int(sys.argv[3]), time.monotonic()
while due < end:
    for _ in range(burst):
        os.getpriority(0, 0)
    due += burst / rate
    time.sleep(max(0.0, due - time.monotonic()))
"""


def _request() -> str:
    (columns,) = (
        one.columns for one in catalog.probe("request_ledger").emits if one.table == "request"
    )
    own = {
        "ts_ns": "nsecs",
        "pid_tid": "(uint64)pid << 32",
        "complete": "(uint64)1",
        "sock": "-131387293400000 + (int64)(nsecs % 64)",
        # As in four of five requests of the shipped recording.
        **dict.fromkeys(("disk_ns", "lock_ns", "sleep_ns", "other_ns"), "(uint64)0"),
        "other_syscall": "(uint64)0",
        "conn_ts_ns": "10000000000000 + nsecs % 64",
        "recv_ts_ns": "nsecs",
        "recv_bytes": "(uint64)80",
        "send_bytes": "nsecs % 997",
        "answer": "(uint64)808464968",
        "calls_handovers": "(uint64)4294967297",
    }
    values = ", ".join(own.get(name, "nsecs % 1000003") for name in columns if name != "first")
    form = "\\x7f%lld" * (len(columns) - 1)
    text = '"GET /api/orders/1234567?page=3 HTTP/1.1\\\\x0d\\\\x0aHost: shop"'
    row = f'printf("request{form}\\x7f%s\\n", {values}, $b);'
    return f"$b = {text}; {row} @produced_request = count();"


def _probe(table: str, folder: Path) -> catalog.Probe:
    """Return a probe that prints one row of `table` for each of the driver's calls."""
    stem = {"block_io": "block_io.tracepoint", "request": "request_ledger"}[table]
    emits = next(one for one in catalog.probe(stem).emits if one.table == table)
    body = {"block_io": _BLOCK_IO, "request": _request()}[table]
    path = folder / f"{catalog.probe(stem).name}.bt"
    path.write_text(
        f"// {path.stem}   A row for each call.\n//\n"
        f"// Emits:  {table}({', '.join(emits.columns)})\n"
        "// Needs:  bpftrace >= 0.17\n// Grade:  exact\n\n"
        f'{_HOOK} /comm == "sl-driver"/ {{\n    // @stopped\n    {body}\n}}\n'
    )
    return catalog.read_probe(path)


class Meter:
    """CPU seconds and memory of this process and of its bpftrace, while recording."""

    def __init__(self) -> None:
        self.own = psutil.Process()
        self.begun: tuple[float, float, float] | None = None
        self.ended = (0.0, 0.0, 0.0)
        self.rss = 0
        self.traced: psutil.Process | None = None

    def __call__(self, progress: Progress) -> None:
        if progress.phase != "recording":
            return
        now = self._read()
        self.rss = max(self.rss, self.own.memory_info().rss)
        if self.begun is None and progress.elapsed_s >= 1:
            self.begun = now
        self.ended = now

    def _read(self) -> tuple[float, float, float]:
        mine = sum(self.own.cpu_times()[:2])
        if self.traced is None:
            children = self.own.children()
            self.traced = next(child for child in children if child.name() == "bpftrace")
        return time.monotonic(), mine, sum(self.traced.cpu_times()[:2])


def printing(table: str, rate: int, seconds: float, burst: int) -> None:
    """Record rows that cost bpftrace little more than to print them."""
    with tempfile.TemporaryDirectory() as folder:
        probe = _probe(table, Path(folder))
        original = session.catalog.probe
        session.catalog.probe = lambda *_: probe  # type: ignore[assignment]
        try:
            script = f"open('/proc/self/comm', 'w').write('sl-driver'){_DRIVER}"
            command = (sys.executable, "-c", script, str(rate), str(seconds), str(burst))
            measure(
                table,
                f"printing by {burst}",
                seconds,
                Options(store=Path(folder), probes=(probe.name,), command=command),
            )
        finally:
            session.catalog.probe = original


def probing(rate: int, seconds: float) -> None:
    """Record fio's reads at the rate, and nginx's answers."""
    with all_of_them(int(seconds)) as workloads, tempfile.TemporaryDirectory() as folder:
        _pgbench, _dd, fio, wrk = workloads
        reads = (*fio.argv, f"--rate_iops={rate}", "--output=/dev/null")
        measure(
            "block_io",
            "fio",
            seconds,
            Options(store=Path(folder), probes=("block_io",), command=reads),
        )
        pace = Path(folder) / "pace.lua"
        pace.write_text("function delay() return 1 end\n")  # ms between answer and request
        connections = -(-rate // 1000)
        requests = Options(
            store=Path(folder),
            probes=("request_ledger",),
            constants=constants(find()) or {},
            command=(
                *("sh", "-c", 'exec "$@" >&2', "sh", "wrk", "-t1", f"-c{connections}"),
                *("-s", str(pace), f"-d{seconds:.0f}s", wrk.argv[-1]),
            ),
        )
        measure("request", "wrk", seconds, requests)


def measure(table: str, workload: str, seconds: float, options: Options) -> None:
    """Record one capture and print its line."""
    meter = Meter()
    outcome = record(options, meter)
    (loss,) = (one for one in outcome.manifest.losses if one.table == table)
    assert meter.begun is not None
    elapsed, mine, traced = (
        after - before for after, before in zip(meter.ended, meter.begun, strict=True)
    )
    size = sum(part.stat().st_size for part in outcome.folder.glob(f"{table}/*.parquet"))
    print(
        f"{table:10}{workload:16}{loss.received / seconds:8,.0f}{loss.lost:8,}"
        f"{traced / elapsed:10.1%}{mine / elapsed:10.1%}{mine / traced:8.1%}"
        f"{meter.rss / (1 << 20):9.0f}{size / loss.received:9.1f}",
        flush=True,
    )


def main() -> None:
    """Print a line for each table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=15.0)
    words = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("bpftrace needs root")
    print(
        f"{'table':10}{'workload':16}{'rows/s':>8}{'lost':>8}{'bpftrace':>10}{'own CPU':>10}"
        f"{'ratio':>8}{'RSS MiB':>9}{'B/row':>9}"
    )
    probing(words.rows, words.seconds)
    for table in ("block_io", "request"):
        for burst in (2, 100):
            printing(table, words.rows, words.seconds, burst)


main()
