"""What recording costs the host: throughput of pgbench with and without it, in turn.

    python bench/overhead.py [--pairs 5] [--seconds 5] [--clients 4]

Read-only single-row queries over TCP on every CPU of the host: the worst case, for
nothing but requests happens. Prints the ratio of each pair and the median.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stackledger.labs import folders, postgres, servers

SCRIPT = "\\set id random(1, 40000)\nSELECT note FROM orders WHERE id = :id;\n"


def throughput(port: int, script: Path, seconds: int, clients: int) -> float:
    """Return the transactions per second that pgbench reports."""
    said = subprocess.run(
        [
            *("pgbench", "-n", "-h", "127.0.0.1", "-p", str(port), "-U", "lab", "-f", str(script)),
            *("-T", str(seconds), "-c", str(clients), "-j", "2", "postgres"),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.search(r"tps = ([0-9.]+)", said)
    if found is None:
        raise SystemExit(f"pgbench said no tps: {said}")
    return float(found[1])


def main() -> int:
    """Run the pairs and print them."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--pairs", type=int, default=5)
    words.add_argument("--seconds", type=int, default=5)
    words.add_argument("--clients", type=int, default=4)
    words.add_argument("--profile", default="ledger")
    asked = words.parse_args()
    ratios = []
    with folders.private_folder(None) as folder, tempfile.TemporaryDirectory() as store:
        port = servers.free_ports(("database",))["database"]
        with postgres.database(folder, port) as database:
            database.warm_cache()
            script = Path(store) / "select.sql"
            script.write_text(SCRIPT)
            throughput(port, script, 2, asked.clients)
            for _ in range(asked.pairs):
                bare = throughput(port, script, asked.seconds, asked.clients)
                capture = subprocess.Popen(
                    [
                        *(sys.executable, "-m", "stackledger", "capture", "--store", store),
                        *("--profile", asked.profile, "--for", f"{asked.seconds + 20}s"),
                    ],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for line in capture.stderr or ():
                    if line.startswith("recording"):
                        break
                recorded = throughput(port, script, asked.seconds, asked.clients)
                capture.send_signal(2)
                rest = capture.stderr.read() if capture.stderr else ""
                capture.wait()
                ratios.append(recorded / bare)
                print(f"{bare:9.0f} tps bare  {recorded:9.0f} recorded  ratio {ratios[-1]:.3f}")
                print("\n".join(line for line in rest.splitlines() if " rows," in line))
                time.sleep(1)
    print(f"median ratio {statistics.median(ratios):.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
