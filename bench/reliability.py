"""Strikes live captures at random moments, and looks whether all but the last batch is there.

    python bench/reliability.py [-n 200] [--seed N] [--only WORD]… [--write docs/reliability.md]

Every fault of tests/reliability/harms.py in turn, -n trials in all, as root. Prints each
trial, with the seed that decided its moment, and the table at the end; exits with 1 where
one did not hold.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import signal
import statistics
import sys
import time
from collections import defaultdict
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "pipeline"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "reliability"))

from harms import FAULTS
from trial import LAST_BATCH_S, Result, run

from stackledger.capture.bpftrace import find

# The page has a mark before and behind it.
_TABLE = re.compile(r"(?<=<!-- table -->\n).*(?=<!-- end of the table -->)", re.DOTALL)


def main() -> int:
    """Run the trials; return 1 where one of them did not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=200, metavar="TRIALS")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--only", action="append", metavar="WORD", help="faults so called")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table there")
    options = parser.parse_args()
    chosen = [one for one in FAULTS if not options.only or any(w in one.name for w in options.only)]
    if not chosen:
        parser.error("no fault is called so")
    for ending in (signal.SIGINT, signal.SIGTERM):  # in the background the first is ignored
        signal.signal(ending, signal.default_int_handler)
    results: dict[str, list[Result]] = defaultdict(list)
    for number, fault in enumerate(islice(cycle(chosen), options.n)):
        seed = options.seed + number
        try:
            result = run(fault, seed)
        except Exception as failure:  # noqa: BLE001 - the other trials go on
            result = Result(fault.name, seed, problems=[f"{type(failure).__name__}: {failure}"])
        results[fault.name].append(result)
        print(result, flush=True)
    text = table(results, options.seed)
    print(text)
    if options.write:
        page = options.write.read_text(encoding="utf-8")
        options.write.write_text(_TABLE.sub(lambda _: text, page), encoding="utf-8")
    return 1 if any(one.problems for found in results.values() for one in found) else 0


def table(results: dict[str, list[Result]], seed: int) -> str:
    """Return the trials as a Markdown table, a row per fault, with date and machine."""
    every = [one for found in results.values() for one in found]
    lines = [
        "| fault | trials | moments, s | events | lost before it, s: median, most | did not hold |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, found in results.items():
        moments = [one.moment_s for one in found]
        lost = [one.lost_s for one in found]
        lines.append(
            f"| {name} | {len(found)} | {min(moments):.1f}-{max(moments):.1f}"
            f" | {sum(one.events for one in found):,}"
            f" | {statistics.median(lost):.2f}, {max(lost):.2f}"
            f" | {sum(bool(one.problems) for one in found)} |"
        )
    lines += [
        "",
        (
            f"{len(every)} trials of {time.strftime('%Y-%m-%d', time.gmtime())},"
            f" {os.cpu_count()} CPUs ({_cpu()}), Linux {platform.release().split('-')[0]},"
            f" {_distribution()}, bpftrace {find()}, seed {seed};"
            f" {sum(one.set_aside for one in every)} parts set aside by `stackledger repair`;"
            f" at most {LAST_BATCH_S:g} s may be lost."
        ),
        "",
    ]
    return "\n".join(lines)


def _cpu() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="ascii"))
    return found[1].strip() if found else platform.machine()


def _distribution() -> str:
    return platform.freedesktop_os_release()["PRETTY_NAME"]


if __name__ == "__main__":
    sys.exit(main())
