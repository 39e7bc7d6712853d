"""Measures what one second's look at the host costs: counters, sockets, and their parts.

    python bench/counters.py [PROCESSES] [BUSY] [SOCKETS]

Starts that many processes, of which BUSY do something every second, and opens
that many TCP sockets. Figures to hold: with 300 processes, 100 of them busy, all
subjects together below 2 % of a CPU; sockets below 2 % by being listed less often.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from stackledger.capture.clock import anchor
from stackledger.capture.counters.namespaces import Namespaces
from stackledger.capture.counters.process import Processes
from stackledger.capture.counters.sampler import Sampler, subjects
from stackledger.capture.sockets import Sockets
from stackledger.capture.writer import PartWriter

SECONDS = 10
HOUR_NS = 3_600_000_000_000
BUSY = "import time\nwhile True: time.sleep(0.2)"


def connections(count: int) -> list[socket.socket]:
    """Open `count` sockets: pairs of connections to ourselves."""
    server = socket.create_server(("127.0.0.1", 0), backlog=1024)
    found = [server]
    while len(found) < count:
        found += [socket.create_connection(server.getsockname()), server.accept()[0]]
    return found


def measure() -> dict[str, float]:
    """Return milliseconds of CPU time per second, by subject."""
    cost: dict[str, float] = defaultdict(float)
    namespaces, processes = Namespaces(), Processes()
    every = subjects(namespaces, processes)
    sockets = Sockets(namespaces)
    for second in range(SECONDS + 1):
        time.sleep(1)
        for subject in every:
            begun = time.thread_time()
            subject.rows(second + 1)
            if second:
                cost[type(subject).__name__] += time.thread_time() - begun
        begun = time.thread_time()
        # An hour later it is due, whatever the last one cost.
        sockets.sample((second + 1) * HOUR_NS, 0, processes.alive, processes.active)
        if second:
            cost["one list of the sockets"] += time.thread_time() - begun
    sockets.close()
    return {name: 1000 * spent / SECONDS for name, spent in cost.items()}


def together() -> float:
    """Return milliseconds of CPU time per second, with the writing of the parts."""
    with tempfile.TemporaryDirectory() as folder:
        writer, sampler = PartWriter(Path(folder)), Sampler(anchor())
        begun = time.process_time()
        for _ in range(2 * SECONDS):
            time.sleep(1)
            for table, rows in sampler.tick(anchor(), 0).items():
                writer.grow(table, rows)
            writer.flush()
        spent = time.process_time() - begun
        writer.close()
        sampler.close()
    return 1000 * spent / (2 * SECONDS)


def main() -> None:
    """Print one line per subject."""
    count, busy, open_sockets = (
        int(word) for word in [*sys.argv[1:], "300", "100", "2000"][: max(3, len(sys.argv) - 1)]
    )
    there = sum(name.isdigit() for name in os.listdir("/proc"))  # noqa: PTH208
    idle = max(0, count - busy - there)
    words = [["sleep", "600"]] * idle + [[sys.executable, "-S", "-c", BUSY]] * busy
    started = [subprocess.Popen(command) for command in words]
    opened = connections(open_sockets)
    try:
        time.sleep(2)
        print(f"{there + idle + busy} processes, {busy} of them busy; {len(opened)} sockets")
        for name, spent in measure().items():
            print(f"{name:<28}{spent:8.2f} ms")
        print(f"{'all, written':<28}{together():8.2f} ms a second")
    finally:
        for one in opened:
            one.close()
        for process in started:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
