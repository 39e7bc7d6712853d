"""Stands in for bpftrace where the session's own behaviour is tested: prints recorded lines.

    stand_in.py MODE -f json PROGRAM

Modes: fine · dies (after its first rows) · never (attaches) · deaf (to SIGINT) ·
hard-of-hearing (misses the first) ·
one-dies, one-refused (that of the raw tracepoint; the other is fine)
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

ROW = (
    '{"type": "value", "data": ["block_io",%d,101,101,"dd",266338304,%d,4096,"WS",5000,90000,0]}\n'
)
RAW_ROW = ROW.replace('"WS"', "2049")


def acted(mode: str, *, raw: bool) -> str:
    """Return the mode of one of the two that run at once."""
    if mode == "one-refused":
        return "never" if raw else "fine"
    if mode == "one-dies":
        return "dies" if raw else "fine"
    return mode


def main() -> None:
    mode = sys.argv[1]
    if sys.argv[-1] == "--version":
        print("bpftrace v0.9.4" if mode == "old" else "bpftrace v0.17.0")
        return
    program = Path(sys.argv[-1]).read_text()
    raw = "rawtracepoint:" in program
    refused = mode == "one-refused" or "--fails" in sys.argv
    mode = acted(mode, raw=raw)
    ended: list[int] = []
    signal.signal(signal.SIGINT, lambda *_: ended.append(1))
    say = sys.stdout.write
    say('{"type": "attached_probes", "data": {"probes": 7}}\n')
    if mode == "never":
        print("stdin:1:1-2: ERROR: tracepoint not found: block:block_io_start", file=sys.stderr)
        if refused:
            sys.exit(1)
    else:
        say('{"type": "value", "data": ["stackledger_attached",1]}\n')
    sys.stdout.flush()
    printed = 0
    while len(ended) <= (mode == "hard-of-hearing"):
        if mode != "never":
            for _ in range(7):
                printed += 1
                say((RAW_ROW if raw else ROW) % (time.clock_gettime_ns(7), printed))
        sys.stdout.flush()
        if mode == "dies" and printed >= 70:
            print("ERROR: failed to read from the buffer", file=sys.stderr)
            sys.exit(3)
        time.sleep(0.02)
    while mode == "deaf":
        time.sleep(1)
    say(f'{{"type": "value", "data": ["stackledger_stopped",{time.clock_gettime_ns(7)}]}}\n')
    say(f'\n{{"type": "map", "data": {{"@produced_block_io": {printed}}}}}\n')


main()
