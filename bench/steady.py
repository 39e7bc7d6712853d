"""A long capture under load: memory that does not grow, and a bounded size on disk.

    python bench/steady.py [--minutes 10] [--rate 2000] [--profile incident]

nginx answers so many requests a second from a file while the profile is recorded.
Every ten seconds the resident memory of the recording process and of its bpftraces,
together, is read; the last quarter's median is set against the first quarter's.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from workloads import all_of_them

from stackledger.labs import load

_EVERY_S = 10.0
_MIB = 1 << 20


def memory_bytes(process: psutil.Process) -> dict[str, int]:
    """Return the resident memory of the recording process, and of its bpftraces together."""
    tracers = [child.memory_info().rss for child in process.children(recursive=True)]
    return {"python": process.memory_info().rss, "bpftrace": sum(tracers)}


def growth(samples: list[int]) -> float:
    """Return the last quarter's median over the first quarter's, less 1; the start is left out."""
    quarter = max(1, len(samples) // 4)
    return statistics.median(samples[-quarter:]) / statistics.median(samples[1 : quarter + 1]) - 1


def main() -> int:
    """Record, sample, print."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--minutes", type=float, default=10)
    words.add_argument("--rate", type=int, default=2000)
    words.add_argument("--profile", default="incident")
    asked = words.parse_args()
    seconds = int(asked.minutes * 60)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as store, all_of_them(4) as workloads:
        url = workloads[-1].argv[-1].removesuffix("/page")
        begun = time.monotonic()
        capture = subprocess.Popen(
            [
                *(sys.executable, "-m", "stackledger", "capture", "--store", store),
                *("--profile", asked.profile),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in capture.stderr or ():
            if line.startswith("recording"):
                break
        print(f"start to recording: {time.monotonic() - begun:.2f} s")
        client = subprocess.Popen(
            load.command(url, ["/page"], connections=16, rate_hz=asked.rate, duration_s=seconds),
            stdout=subprocess.PIPE,
            text=True,
        )
        process = psutil.Process(capture.pid)
        samples: dict[str, list[int]] = {"python": [], "bpftrace": []}
        while client.poll() is None:
            time.sleep(_EVERY_S)
            for name, size in memory_bytes(process).items():
                samples[name].append(size)
        capture.send_signal(signal.SIGINT)
        said = capture.communicate()[1]
        size = sum(file.stat().st_size for file in Path(store).rglob("*.parquet"))
        print(client.stdout.read()[:400] if client.stdout else "")
        print(said)
        for name, sizes in samples.items():
            print(
                f"{name}: {statistics.median(sizes) / _MIB:.0f} MiB, largest "
                f"{max(sizes) / _MIB:.0f} MiB, growth {growth(sizes):+.1%}"
            )
        print(f"on disk: {size / 1e6 / asked.minutes:.2f} MB per minute")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
