"""How a program starts: with declarations of our own, bpftrace compiles the very same."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from stackledger import catalog
from stackledger.capture import btf, kerneltypes, program, trial
from stackledger.capture.bpftrace import Bpftrace, find
from stackledger.capture.control import Control

from .conftest import OTHER_BPFTRACE

BPFTRACES = [None, OTHER_BPFTRACE] if OTHER_BPFTRACE else [None]
_NAME = re.compile(r'%"[^"]*"|%[\w.$]+|!\d+')


def _compiled(bpftrace: Bpftrace, text: str, types: bytes, folder: Path) -> Counter[str]:
    """Return the lines of LLVM's own language, names of values and types left out."""
    (folder / "types").write_bytes(types)
    stage = ["-d"] if bpftrace.version < (0, 20) else ["--dry-run", "-d", "codegen"]
    said = subprocess.run(
        [*bpftrace.command, *stage, "-e", text],
        env={**os.environ, **({"BPFTRACE_BTF": str(folder / "types")} if types else {})},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in said.stdout.splitlines() if line.startswith("  ")]
    assert any(" call i64 " in line for line in lines), said.stderr
    return Counter(_NAME.sub("%", line).split(", align")[0] for line in lines if " %" in line)


@pytest.mark.parametrize("command", BPFTRACES, ids=str)
@pytest.mark.parametrize(
    "name", ["request_ledger", "tcp_connection", "packet_drop", "fsync", "process_exit"]
)
def test_a_probe_reads_the_same_places_as_with_all_of_the_kernels_types(name, command, tmp_path):
    bpftrace = find(command)
    probe = catalog.probe(name, bpftrace.version)
    text = Control().wrap(
        program.build(probe.text(), constants={"STACK": 16384}, sums=probe.sums, listen=[80])
    )
    own = kerneltypes.prepared(text, btf.of_kernel(), bpftrace.version)
    assert own.text != text
    assert bool(own.btf) == (bpftrace.version < (0, 18))
    assert _compiled(bpftrace, own.text, own.btf, tmp_path) == _compiled(
        bpftrace, text, b"", tmp_path
    )


def test_the_short_list_of_tracepoints_stays_with_the_child():
    events = Path("/sys/kernel/tracing/available_events")
    whole = events.read_bytes()
    reads = "tracepoint:sched:sched_switch { @[args->prev_pid] = 1; }"
    assert trial.attach(find(), "dry", reads) is None
    assert events.read_bytes() == whole
    assert "available_events" not in Path("/proc/self/mounts").read_text()
    assert not list(Path("/run").glob("stackledger-events-*"))
