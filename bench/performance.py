"""Runs the benches one after the other and writes what they print into the docs.

    python bench/performance.py [--write docs/performance.md] [--only NAME]…

Takes about twenty minutes on two cores, as root for those that record. Each figure is
what that bench printed then, beside the figure to hold where its text names one.
bench/overhead.py writes a page of its own, and bench/conservation.py and steady.py take
ten minutes each: they are run by themselves.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pipeline"))

from stackledger.capture.topology import machine

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Bench:
    """One program: its words after `python bench/`, what it tells, what is wanted."""

    words: str
    tells: str
    wanted: str


BENCHES = (
    Bench(
        "ingest.py",
        "bpftrace's lines to zstd Parquet, rows per second of one core",
        "1.5 M rows/s, ahead of every other reader of the same lines; 12 bytes a row",
    ),
    Bench(
        "capture_overhead.py",
        "stackledger's own CPU while it records, beside bpftrace's",
        "25 % of bpftrace's at 20,000 rows/s, 250 MB",
    ),
    Bench("counters.py", "a second's look at the host", "2 % of a CPU"),
    Bench("commands.py", "small commands, whole", "--help 150 ms, sql 400 ms"),
    Bench(
        "attribute.py",
        "attribute and report over 1 M transactions: 4 M requests, 8 M rows",
        "3 s and 5 s; the page 3 MB",
    ),
    Bench("diagnosis.py --time", "diagnose over the same", "3 s"),
    Bench("cost.py", "cost over the same", "3 s"),
    Bench("whatif.py", "six options over the same", "10 s"),
)


def main() -> int:
    """Run them; write the page after each, for all take long."""
    words = argparse.ArgumentParser(description="Runs the benches and writes docs/performance.md.")
    words.add_argument("--write", type=Path, metavar="FILE")
    words.add_argument("--only", action="append", default=[], metavar="NAME")
    asked = words.parse_args()
    chosen = [one for one in BENCHES if not asked.only or one.words.startswith(tuple(asked.only))]
    if not chosen:
        words.error(f"no such bench; there are: {', '.join(one.words for one in BENCHES)}")
    parts = []
    failed = 0
    for bench in chosen:
        script, *options = bench.words.split()
        ran = subprocess.run(
            [sys.executable, str(_HERE / script), *options], capture_output=True, text=True
        )
        failed |= ran.returncode
        said = ran.stdout.rstrip() if ran.returncode == 0 else f"failed: {ran.stderr[-500:]}"
        parts.append(
            f"## {bench.tells}\n\n`python bench/{bench.words}`; wanted: {bench.wanted}.\n\n"
            f"```text\n{said}\n```\n"
        )
        print(parts[-1], flush=True)
        if asked.write:
            asked.write.write_text(_page(parts), encoding="utf-8")
    return failed


def _page(parts: list[str]) -> str:
    host = machine()
    return (
        "# How fast it is\n\n"
        f"Written by `python bench/performance.py --write docs/performance.md` on"
        f" {dt.datetime.now(dt.UTC):%Y-%m-%d}: {os.cpu_count()} CPUs"
        f" ({host.cpu_model}), {host.memory_bytes / 2**30:.0f} GiB,\n"
        f"Linux {platform.release().split('-')[0]}, a virtual machine whose host others share:"
        " figures differ by a fifth and more from run to run.\n"
        "What recording costs the workloads themselves is in [Overhead](overhead.md).\n\n"
        + "\n".join(parts)
    )


if __name__ == "__main__":
    raise SystemExit(main())
