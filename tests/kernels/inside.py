"""Runs the suites of every signal that is offered here, and writes what there is and how it went.

    python tests/kernels/inside.py FOLDER [--emulated] [--kprobes]

FOLDER/host.json: kernel, bpftrace, and each signal's variant and grade, or why there
is none. FOLDER/tests.xml: pytest's own report. With --kprobes as on a kernel without
fentry, and only what differs there. Not imported, for it runs in a guest.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stackledger import catalog
from stackledger.capture import bpftrace, hooks
from stackledger.errors import StackledgerError

if TYPE_CHECKING:
    from collections.abc import Callable

sys.path.insert(0, str(Path(__file__).parent))
from suites import SUITES

_FENTRY = ("kfunc:", "kretfunc:", "fentry:", "fexit:")
_OTHER = tuple(shlex.split(os.environ.get("STACKLEDGER_OTHER_BPFTRACE", "")))


def without_fentry() -> None:
    """Have this process believe that no function can be traced but by a kprobe."""
    offered = hooks.offered

    def fewer(tracer: bpftrace.Bpftrace) -> Callable[[str], bool]:
        return lambda hook: not hook.startswith(_FENTRY) and offered(tracer)(hook)

    pytest.MonkeyPatch().setattr(hooks, "offered", fewer)


def inventory(*, kprobes: bool) -> dict[str, object]:
    """Return what a capture would find here."""
    tracer = bpftrace.find(_OTHER or None)
    offered = hooks.offered(tracer)
    signals: dict[str, dict[str, str]] = {}
    for name in dict.fromkeys(one.name for one in catalog.probes().values()):
        try:
            probe = catalog.probe(name, tracer.version, offered)
        except StackledgerError as failure:
            signals[name] = {"grade": "unavailable", "why": str(failure)}
        else:
            signals[name] = {
                "grade": probe.grade.split()[0].strip(",;"),
                "variant": probe.variant,
            }
    if kprobes:
        signals = {name: told for name, told in signals.items() if told.get("variant") == "kprobe"}
    without = "fentry" if kprobes else ""
    return {
        "kernel": platform.release(),
        "bpftrace": str(tracer),
        "without": without,
        "signals": signals,
    }


class OtherBpftrace:
    """Leaves out what is meant for the host's bpftrace, where tests run with both."""

    @pytest.hookimpl
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [
            one
            for one in items
            if None not in getattr(getattr(one, "callspec", None), "params", {}).values()
        ]


def main(folder: Path, *, emulated: bool, kprobes: bool) -> int:
    """Write the two files; return pytest's exit code."""
    if kprobes:
        without_fentry()
    found = inventory(kprobes=kprobes)
    (folder / "host.json").write_text(json.dumps(found, indent=2))
    signals = found["signals"]
    assert isinstance(signals, dict)
    offered = {name for name, told in signals.items() if told["grade"] != "unavailable"}
    tests = [
        test
        for suite in SUITES
        if (offered.intersection if kprobes else offered.issuperset)(suite.signals)
        for test in suite.tests(emulated=emulated)
    ]
    options = ["-v", "--tb=short", "-p", "no:cacheprovider", f"--junitxml={folder}/tests.xml"]
    plugins = [OtherBpftrace()] if _OTHER else []
    return int(pytest.main([*options, *tests], plugins=plugins))


if __name__ == "__main__":
    told = sys.argv[2:]
    sys.exit(main(Path(sys.argv[1]), emulated="--emulated" in told, kprobes="--kprobes" in told))
