"""Times `stackledger cost` as a whole command on a large capture on disk.

    python bench/cost.py [TRANSACTIONS]

Makes the capture of bench/attribute.py, 1,000,000 transactions by default (4,000,000
requests, with their calls and block I/O), and prices it by
endpoint and by service. Beside it what one would write oneself: CPU per endpoint
and layer out of the same file with polars and with DuckDB, without finding out
which transaction a request belongs to. Figure to hold: 3 s.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import duckdb
import polars as pl

sys.path.insert(0, str(Path(__file__).parent))

from attribute import timed, write


def plain_polars(requests: str) -> float:
    """Return the seconds of a group-by without transactions."""
    started = time.perf_counter()
    pl.scan_parquet(requests).group_by("endpoint", "pid").agg(
        pl.len(), pl.col("cpu_ns").sum(), pl.col("disk_ns").sum()
    ).collect()
    return time.perf_counter() - started


def plain_sql(requests: str) -> float:
    """Return the seconds of the same in DuckDB."""
    started = time.perf_counter()
    duckdb.execute(
        "SELECT endpoint, pid, count(*), sum(cpu_ns), sum(disk_ns) "
        "FROM read_parquet($1) GROUP BY ALL",
        [requests],
    ).fetchall()
    return time.perf_counter() - started


def main() -> None:
    """Print the figures."""
    transactions = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as scratch:
        capture = Path(scratch) / "dt=2023-11-14" / "host=bench" / "capture=bench"
        write(transactions, capture)
        timed("cost", "cost", str(capture))
        timed("by service", "cost", str(capture), "--by", "service")
        files = str(capture / "request" / "*.parquet")
        for name, plain in (("polars", plain_polars), ("SQL", plain_sql)):
            print(f"{name:12} {min(plain(files) for _ in range(3)):6.2f} s, no transactions")


if __name__ == "__main__":
    main()
