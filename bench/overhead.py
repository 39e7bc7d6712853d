"""What recording costs the host, beside what one would use instead.

    python bench/overhead.py [--pairs 5] [--seconds 1] [--only WORD]… [--write docs/overhead.md]

Four workloads, run bare and watched in turn, pair by pair: what counts is the ratio,
of which the median of the pairs is printed, for one pair is off by 10 % on a shared
machine. Watched by each probe alone, by the profiles, and by strace -c, perf trace -s,
blktrace and the distribution's own bpftrace tools, those that start here. `--only`
takes the subjects whose names begin so.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from workloads import Workload, all_of_them

from stackledger import catalog
from stackledger.capture.bpftrace import find
from stackledger.capture.profiles import PROFILES
from stackledger.capture.session import Options, record
from stackledger.capture.trial import STACK_BYTES, register_padding

LEDGER = "request_ledger"
TOOLS = ("biosnoop", "biolatency", "opensnoop", "execsnoop", "runqlat", "syscount", "tcplife")
_SETTLE_S = 2.0


def subjects() -> dict[str, list[str]]:
    """Return what is watched with: a name, and the probes or the tool's words."""
    probes = [one for one in catalog.probes().values() if "--function" not in one.needs]
    names = list(dict.fromkeys(probe.name for probe in probes))
    found = {f"profile {name}": list(probes) for name, probes in PROFILES.items()}
    beside = [name for name in PROFILES["incident"] if name != LEDGER]
    found["profile none"] = []
    found["profile incident without the ledger"] = beside
    found["strace -c -f"] = ["strace"]
    found["perf trace -s -a"] = ["perf", "trace", "-s", "-a", "-o", "/dev/null"]
    found["blktrace"] = ["blktrace"]
    found.update({f"{tool}.bt": [f"/usr/sbin/{tool}.bt"] for tool in TOOLS})
    found.update({f"probe {name}": [name] for name in names})
    return found


@contextlib.contextmanager
def watching(name: str, words: list[str], workload: Workload) -> Iterator[tuple[str, ...]]:
    """Watch the host; yields what has to stand before the workload's own words."""
    if name.startswith("strace") and not workload.pids:
        yield ("strace", "-c", "-f", "-o", "/dev/null")
        return
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            _command(name, words, workload, scratch),
            stdout=subprocess.PIPE if name.startswith("pro") else subprocess.DEVNULL,
            stderr=None if name.startswith("pro") else said,
            process_group=0,
            cwd=scratch,
            text=True,
        )
        try:
            if process.stdout is not None and process.stdout.readline().strip() != "recording":
                raise OSError(f"{name} does not record here")
            # After compiling, a shared machine may be slower for a moment.
            time.sleep(_SETTLE_S)
            said.seek(0)
            # bpftrace goes on without the probes that it could not attach.
            if process.poll() is not None or b"could not attach" in said.read():
                raise OSError(f"{name} does not run here")
            yield ()
            if process.poll() is not None:
                raise OSError(f"{name} ended by itself")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _command(name: str, words: list[str], workload: Workload, scratch: str) -> list[str]:
    if name.startswith("pro"):
        return [sys.executable, __file__, "--record", scratch, *words]
    if name == "blktrace":
        disk = subprocess.run(
            ["findmnt", "-no", "SOURCE", "-T", "/var/tmp"], capture_output=True, text=True
        ).stdout.strip()
        return ["blktrace", "-d", disk, "-D", scratch]
    if name.startswith("strace"):
        followed = [word for pid in workload.pids for word in ("-p", str(pid))]
        return ["strace", "-c", "-f", "-o", "/dev/null", *followed]
    return words


def _record(store: str, probes: list[str]) -> int:
    """Record until SIGINT: the child that `watching` starts."""
    padding = register_padding(find()) if LEDGER in probes else None
    constants = {} if padding is None else {"STACK": STACK_BYTES - padding}

    def tell(progress: object) -> None:
        if getattr(progress, "phase", "") == "recording" and not said:
            said.append(True)
            print("recording", flush=True)

    said: list[bool] = []
    outcome = record(
        Options(store=Path(store), probes=tuple(probes), constants=constants), on_progress=tell
    )
    for loss in outcome.manifest.losses:
        if loss.lost:
            print(f"  lost: {loss}", file=sys.stderr)
    return outcome.exit_code


def ratios(name: str, words: list[str], workloads: list[Workload], pairs: int) -> list[list[float]]:
    """Return, for each workload, watched over bare of each pair; empty: does not run here.

    Bare is the mean of the run before and the run after: a shared machine drifts.
    """
    bare = [[one.rate()] for one in workloads]
    watched: list[list[float]] = [[] for _ in workloads]
    able = set(range(len(workloads)))
    for _ in range(pairs):
        # Some tools follow one workload's processes: each has its own then.
        together = [able] if name.startswith("pro") else [{one} for one in able]
        for group in together:
            try:
                with watching(name, words, workloads[min(group)]) as before:
                    for number in sorted(group):
                        watched[number].append(workloads[number].rate(before))
            except (OSError, subprocess.CalledProcessError) as failure:
                print(f"  {failure}", file=sys.stderr)
                able = able - group
        for number in sorted(able):
            bare[number].append(workloads[number].rate())
    return [
        [2 * seen / sum(bare[number][i : i + 2]) for i, seen in enumerate(watched[number])]
        if number in able
        else []
        for number in range(len(workloads))
    ]


def main() -> int:
    """Run all pairs and print the table."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--pairs", type=int, default=5)
    words.add_argument("--seconds", type=int, default=1)
    words.add_argument("--only", action="append", default=[])
    words.add_argument("--write", type=Path)
    words.add_argument("--record", nargs="*", help=argparse.SUPPRESS)
    asked = words.parse_args()
    if asked.record:
        return _record(asked.record[0], asked.record[1:])
    chosen = {
        name: what
        for name, what in subjects().items()
        if not asked.only or name.startswith(tuple(asked.only))
    }
    with all_of_them(asked.seconds) as workloads:
        lines = [
            f"| watched by | {' | '.join(one.name for one in workloads)} |",
            f"|---|{'---|' * len(workloads)}",
        ]
        print("\n".join(lines), flush=True)
        for workload in workloads:
            workload.rate()
        for name, what in chosen.items():
            pairs = asked.pairs if name.startswith("profile") else max(2, asked.pairs // 2)
            found = ratios(name, what, workloads, pairs)
            cells = [_cell(one) for one in found]
            lines.append(f"| {name} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
            if asked.write:  # each time: it takes half an hour
                asked.write.write_text(_page(lines, asked), encoding="utf-8")
    return 0


def _cell(found: list[float]) -> str:
    if not found:
        return "does not run"
    return f"{statistics.median(found):.2f} ({min(found):.2f}-{max(found):.2f})"


def _page(lines: list[str], asked: argparse.Namespace) -> str:
    table = "\n".join(lines)
    return (
        "# What recording costs\n\n"
        "Throughput of four workloads, watched over bare: 1.00 is no cost. Medians of\n"
        f"{asked.pairs} pairs of {asked.seconds} s each (of single probes and of tools fewer), "
        "the lowest and\nthe highest behind them: that far a single pair is off where a machine is "
        "shared, as\n`profile none` shows, which records no probe at all.\n\n"
        f"{os.cpu_count()} CPUs, Linux {platform.release().split('-')[0]}, bpftrace {find()}, "
        "written by\n`python bench/overhead.py --write docs/overhead.md`.\n\n"
        f"{table}\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
