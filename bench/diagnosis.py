"""The fault matrix: each fault of tests/live/faults.py, injected, recorded and diagnosed.

    python bench/diagnosis.py [-n REPETITIONS] [--store DIR] [FAULT]…
    python bench/diagnosis.py --time [TRANSACTIONS]

Prints the top verdict of every run with its layer, whether both are right, and the
matrix; exits with 1 where less than 95 % is right, or a healthy stack got more than a
note. With --time: how long the command takes on a capture of 1,000,000 transactions; the
figure to hold is 3 s.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "live"))

from attribute import timed, write
from faultbed import recorded
from faults import FAULTS, Fault

from stackledger.analysis.diagnose import diagnose
from stackledger.analysis.diagnosis import Diagnosis


def judged(fault: Fault, found: Diagnosis) -> tuple[bool, bool]:
    """Return whether the top verdict is the fault's, and whether the host was disturbed.

    Of a healthy stack: whether there is none. A host whose CPUs somebody else keeps
    busy has a verdict of its own for that, which is true, and left out.
    """
    graver = [one for one in found.verdicts if one.severity != "note"]
    own = [one for one in graver if one.layer != "host" or fault.layer == "host"]
    disturbed = len(own) < len(graver)
    if not fault.rules or not own:
        return not fault.rules and not own, disturbed
    return own[0].rule in fault.rules and own[0].layer in fault.layer.split(), disturbed


def run(fault: Fault, store: Path) -> tuple[bool, bool]:
    """Inject, record, diagnose, print; where it is wrong, every verdict."""
    with fault.scene() as scene:
        capture = recorded(scene, store)
    found = diagnose(capture)
    good, disturbed = judged(fault, found)
    print(f"{fault.name:16} {'right' if good else 'WRONG'}{' (disturbed)' * disturbed}", end="")
    shown = [one for one in found.verdicts if one.severity != "note" or not good]
    print("" if shown else "  nothing above a note", flush=True)
    for one in shown:
        share = "" if one.explained_share is None else f"{one.explained_share:.1%}"
        who = " ".join(filter(None, (one.layer, one.service, one.object)))
        print(f"    {one.severity:9}{one.rule:18}{share:7} {who}", flush=True)
    return good, disturbed


def main() -> int:
    """Print the matrix, or the time."""
    parser = argparse.ArgumentParser(description="The fault matrix of `stackledger diagnose`.")
    parser.add_argument("-n", type=int, default=3, help="repetitions of each fault")
    parser.add_argument("--store", type=Path, help="keep the captures there")
    parser.add_argument("--time", type=int, nargs="?", const=1_000_000, metavar="TRANSACTIONS")
    parser.add_argument("fault", nargs="*")
    chosen = parser.parse_args()
    if unknown := set(chosen.fault) - FAULTS.keys():
        parser.error(f"no such fault: {', '.join(unknown)}; there are: {', '.join(FAULTS)}")
    with tempfile.TemporaryDirectory() as scratch:
        if chosen.time:
            folder = Path(scratch) / "dt=2023-11-14" / "host=bench" / "capture=bench"
            write(chosen.time, folder)
            timed("diagnose", "diagnose", str(folder))
            return 0
        store = chosen.store or Path(scratch)
        matrix = {
            name: [run(FAULTS[name], store) for _ in range(chosen.n)]
            for name in chosen.fault or FAULTS
        }
    print("\nfault            right     disturbed")
    matrix["all"] = [one for results in matrix.values() for one in results]
    for name, results in matrix.items():
        good = sum(one for one, _ in results)
        print(f"{name:16} {good:2} of {len(results):2}  {sum(one for _, one in results)}")
    good = sum(one for one, _ in matrix["all"])
    well = all(one for one, _ in matrix.get("healthy", []))
    return 0 if well and good >= 0.95 * len(matrix["all"]) else 1


if __name__ == "__main__":
    sys.exit(main())
