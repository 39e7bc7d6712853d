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
from stackledger.capture.bpftrace import find
from stackledger.capture.control import Control

_NAME = re.compile(r'%"[^"]*"|%[\w.$]+|!\d+')


def _compiled(text: str, tmp_path: Path, types: bytes = b"") -> Counter[str]:
    """Return the lines of LLVM's own language, names of values and types left out."""
    source = tmp_path / "program.bt"
    source.write_text(text)
    (tmp_path / "types").write_bytes(types)
    said = subprocess.run(
        [*find().command, "-d", str(source)],
        env={**os.environ, **({"BPFTRACE_BTF": str(tmp_path / "types")} if types else {})},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in said.stdout.splitlines() if line.startswith("  ")]
    assert any(" call i64 " in line for line in lines), said.stderr
    return Counter(_NAME.sub("%", line).split(", align")[0] for line in lines if " %" in line)


@pytest.mark.parametrize(
    "name", ["request_ledger", "tcp_connection", "packet_drop", "fsync", "process_exit"]
)
def test_a_probe_reads_the_same_places_as_with_all_of_the_kernels_types(name, tmp_path):
    if find().version >= (0, 20):
        pytest.skip("newer bpftraces do not print what they compile in this form")
    probe = catalog.probe(name, find().version)
    text = Control().wrap(
        program.build(probe.text(), constants={"STACK": 16384}, sums=probe.sums, listen=[80])
    )
    own = kerneltypes.prepared(text, btf.of_kernel(), find().version)
    assert own.text != text
    assert len(own.btf) < 1000
    assert _compiled(own.text, tmp_path, own.btf) == _compiled(text, tmp_path)


def test_the_short_list_of_tracepoints_stays_with_the_child():
    events = Path("/sys/kernel/tracing/available_events")
    whole = events.read_bytes()
    reads = "tracepoint:sched:sched_switch { @[args->prev_pid] = 1; }"
    assert trial.attach(find(), "dry", reads) is None
    assert events.read_bytes() == whole
    assert "available_events" not in Path("/proc/self/mounts").read_text()
    assert not list(Path("/run").glob("stackledger-events-*"))
