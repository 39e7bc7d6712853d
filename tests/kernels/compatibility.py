"""Writes docs/compatibility.md from what the tests left: tests/kernels/compatibility.py RESULTS.

RESULTS holds a folder per environment, with inside.py's host.json and tests.xml.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from suites import SUITES

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENT = REPOSITORY / "docs" / "compatibility.md"
# In the order of the columns: where test_signals.py leaves what it found.
ENVIRONMENTS = (
    "linux_of_this_host",
    "bpftrace_of_debian_13",
    "linux_of_debian_12",
    "linux_of_debian_12_by_kprobes",
)
_ENDS = {"failure": "failed", "error": "failed", "skipped": "skipped"}


@dataclass(frozen=True)
class Environment:
    """What was there, and how each signal's tests ended."""

    kernel: str
    bpftrace: str
    ended_at: datetime
    signals: dict[str, dict[str, str]]
    ends: tuple[tuple[str, str, str], ...]  # module, test, how it ended


def read(folder: Path) -> Environment:
    """Return what an environment's folder holds."""
    host = json.loads((folder / "host.json").read_text())
    report = folder / "tests.xml"
    ends = tuple(
        (
            case.get("classname", ""),
            case.get("name", ""),
            next((_ENDS[child.tag] for child in case if child.tag in _ENDS), "passed"),
        )
        for case in ET.parse(report).iter("testcase")
    )
    ended_at = datetime.fromtimestamp(report.stat().st_mtime, UTC)
    # What follows the numbers names a build, not what it can do.
    kernel = re.match(r"[0-9.]*[0-9]", host["kernel"])
    name = kernel[0] if kernel else host["kernel"]
    if host.get("without"):
        name += f" without {host['without']}"
    return Environment(name, host["bpftrace"], ended_at, host["signals"], ends)


def cell(environment: Environment, signal: str) -> str:
    """Return what a table says of a signal: its grade, and how its tests ended."""
    told = environment.signals.get(signal)
    if told is None:
        return "–"
    if told["grade"] == "unavailable":
        return "unavailable"
    suites = [suite for suite in SUITES if signal in suite.signals]
    ends = Counter(
        end
        for module, test, end in environment.ends
        if any(suite.has(module, test) for suite in suites)
    )
    variant = f" ({told['variant']})" if told.get("variant") else ""
    said = ", ".join(f"{ends[end]} {end}" for end in ("passed", "failed", "skipped") if ends[end])
    return f"{told['grade']}{variant}: {said or 'not tested'}"


def document(environments: list[Environment]) -> str:
    """Return the page."""
    names = sorted({name for one in environments for name in one.signals})
    lines = [
        "# Compatibility",
        "",
        "Written by `just test-kernels`: how each signal's tests ended, with another bpftrace in a",
        "chroot and on another kernel in a virtual machine. Under emulation only those run whose",
        "figures do not depend on time. Without fentry: as if that kernel could trace functions by",
        "kprobes alone; only what differs then is tested.",
        "",
        "| | " + " | ".join(f"Linux {one.kernel}" for one in environments) + " |",
        "|---|" + "---|" * len(environments),
        "| bpftrace | " + " | ".join(one.bpftrace for one in environments) + " |",
        "| tested | " + " | ".join(f"{one.ended_at:%Y-%m-%d}" for one in environments) + " |",
    ]
    for name in names:
        cells = " | ".join(cell(one, name) for one in environments)
        lines.append(f"| `{name}` | {cells} |")
    reasons = [
        f"- `{name}` on Linux {one.kernel} with bpftrace {one.bpftrace}: {told['why']}."
        for one in environments
        for name, told in sorted(one.signals.items())
        if told["grade"] == "unavailable"
    ]
    if reasons:
        lines += ["", "Why a signal is unavailable:", "", *reasons]
    return "\n".join([*lines, ""])


def main(results: Path) -> None:
    """Write the document; where an environment was not tested, leave it and say so."""
    untested = [name for name in ENVIRONMENTS if not (results / name / "tests.xml").exists()]
    if untested:
        sys.exit(f"{DOCUMENT.name} stays as it is: not tested: {', '.join(untested)}")
    tested = [results / name for name in ENVIRONMENTS]
    DOCUMENT.write_text(document([read(folder) for folder in tested]), encoding="utf-8")
    print(DOCUMENT.relative_to(REPOSITORY))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
