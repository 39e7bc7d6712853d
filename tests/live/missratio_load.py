"""Reads a file's pages in a memory cgroup; prints its pid and how many pages it asked for.

    python missratio_load.py CGROUP_PROCS FILE random SECONDS SEED
    python missratio_load.py CGROUP_PROCS FILE loop TIMES

random: single pages by Zipf's law, popular ones anywhere in the file; loop: all of
it by long reads. Run by test_missratio.py.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
import time
from pathlib import Path

PAGE, LONG, SKEW = 4096, 128 << 10, 0.8


def random_reads(fd: int, pages: int, seconds: float, seed: int) -> int:
    weights = list(itertools.accumulate((k + 1) ** -SKEW for k in range(pages)))
    places = list(range(pages))
    random.Random(7).shuffle(places)  # the same pages are popular in each run
    rng = random.Random(seed)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for page in rng.choices(places, cum_weights=weights, k=5000):
            os.pread(fd, PAGE, page * PAGE)
        count += 5000
    return count


def loops(fd: int, pages: int, times: int) -> int:
    for _ in range(times):
        for at in range(0, pages * PAGE, LONG):
            os.pread(fd, LONG, at)
    return pages * times


def main() -> None:
    Path(sys.argv[1]).write_text("0")
    fd = os.open(sys.argv[2], os.O_RDONLY)
    pages = os.fstat(fd).st_size // PAGE
    if sys.argv[3] == "loop":
        asked = loops(fd, pages, int(sys.argv[4]))
    else:
        asked = random_reads(fd, pages, float(sys.argv[4]), int(sys.argv[5]))
    print(json.dumps({"pid": os.getpid(), "pages": asked}))


main()
