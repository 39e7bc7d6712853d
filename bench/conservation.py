"""Holds the cost table's rows to the bill on generated captures and models, on every policy.

    python bench/conservation.py [CAPTURES]

1000 captures and a model for each, four idle policies: |rows - bill| <= $0.01, and
no difference at all in the window's totals. The generator and the checks are those of
tests/unit/analysis/test_costs.py, which runs the first few; all take ten minutes.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests" / "unit" / "analysis" / "test_costs.py"


def main() -> None:
    """Print how many tables were held to it; an AssertionError names the seed that fails."""
    captures = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    spec = importlib.util.spec_from_file_location("test_costs", TESTS)
    assert spec is not None
    assert spec.loader is not None
    tests = importlib.util.module_from_spec(spec)
    sys.modules["test_costs"] = tests
    spec.loader.exec_module(tests)
    started = time.perf_counter()
    for seed in range(captures):
        for policy in tests.POLICIES:
            tests.conserved(seed, policy)
        if seed % 100 == 99:
            print(f"{seed + 1} captures, {time.perf_counter() - started:.0f} s", flush=True)
    print(f"{captures * len(tests.POLICIES)} cost tables: each sums to its bill exactly")


if __name__ == "__main__":
    main()
