"""How long small commands take, as whole programs: what one waits for at a prompt.

    python bench/commands.py [RUNS]

The shipped recording goes through `stackledger demo` once; then `--help`, `--version`,
`sql`, `captures` and `attribute` are run in turn on it. Figures to hold: `--help` within
150 ms, `sql` on a small capture within 400 ms (medians).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_PIPELINE = Path(__file__).resolve().parents[1] / "pipeline"
_PROGRAM = (sys.executable, "-m", "stackledger")
_ASKED = (
    ("--help",),
    ("--version",),
    ("captures",),
    ("sql", "last", "SELECT count(*) FROM requests"),
    ("sql", "last", "SELECT count(*) FROM block_io"),
    ("attribute", "last"),
)


def main() -> None:
    """Print the fewest, median and most milliseconds of each command."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with tempfile.TemporaryDirectory() as folder:
        around = {**os.environ, "PYTHONPATH": str(_PIPELINE), "STACKLEDGER_STORE": folder}
        page = f"{folder}/demo.html"
        _run(("demo", "--store", folder, "-o", page), around)
        print(f"{'command':58}{'min ms':>8}{'median':>8}{'max':>8}")
        for words in _ASKED:
            _run(words, around)
            times = sorted(_run(words, around) for _ in range(runs))
            figures = (times[0], statistics.median(times), times[-1])
            shown = " ".join(f'"{word}"' if " " in word else word for word in words)
            cells = "".join(f"{1000 * one:8.0f}" for one in figures)
            print(f"stackledger {shown:46}{cells}", flush=True)


def _run(words: tuple[str, ...], around: dict[str, str]) -> float:
    begun = time.perf_counter()
    subprocess.run([*_PROGRAM, *words], env=around, check=True, capture_output=True)
    return time.perf_counter() - begun


main()
