"""Times `stackledger whatif` as a whole command on a large capture on disk.

    python bench/whatif.py [TRANSACTIONS]

The capture is that of bench/attribute.py: 1,000,000 transactions of four layers with an
I/O each. Six options. Figure to hold: within 10 s.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from attribute import timed, write

OPTIONS = ("--disk", "io2,iops=3000", "--disk", "gp3,iops=6000", "--disk", "gp2", "--cpus", "4")
OPTIONS += ("--instance", "m6i.xlarge", "--replica", "0.5", "--slo", "p99 < 20ms")


def main() -> None:
    """Print the figures."""
    transactions = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as scratch:
        capture = Path(scratch) / "dt=2023-11-14" / "host=bench" / "capture=bench"
        write(transactions, capture)
        timed("whatif", "whatif", str(capture), *OPTIONS, "--save", "bench")


if __name__ == "__main__":
    main()
