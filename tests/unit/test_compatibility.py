"""The table of what was tested where, from what tests left."""

from __future__ import annotations

import json
import os
from pathlib import Path

import compatibility
from suites import Suite

from stackledger import catalog

HOST = {
    "kernel": "6.1.0-56-amd64",
    "bpftrace": "0.17.0",
    "signals": {
        "block_io": {"grade": "approximate", "variant": "fentry"},
        "exec": {"grade": "exact", "variant": ""},
        "syscall_count": {"grade": "exact", "variant": ""},
        "vfs": {
            "grade": "unavailable",
            "why": "this kernel lacks what the probe needs: vfs: kfunc:f",
        },
    },
}
TESTS = """<testsuites><testsuite>
<testcase classname="tests.live.test_block_io" name="a" />
<testcase classname="tests.live.test_block_io" name="b"><failure /></testcase>
<testcase classname="tests.live.test_sums" name="c" />
<testcase classname="tests.live.test_sums" name="d[1]"><skipped message="no" /></testcase>
</testsuite></testsuites>"""

TABLE = """\
| | Linux 6.1.0 |
|---|---|
| bpftrace | 0.17.0 |
| tested | 2026-02-03 |
| `block_io` | approximate (fentry): 1 passed, 1 failed |
| `exec` | exact: not tested |
| `syscall_count` | exact: 1 passed, 1 skipped |
| `vfs` | unavailable |

Why a signal is unavailable:

- `vfs` on Linux 6.1.0 with bpftrace 0.17.0: this kernel lacks what the probe needs: \
vfs: kfunc:f.
"""


def test_a_signal_has_its_grade_and_how_its_tests_ended(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "host.json").write_text(json.dumps(HOST))
    (tmp_path / "tests.xml").write_text(TESTS)
    os.utime(tmp_path / "tests.xml", (1770120000, 1770120000))
    suites = [
        Suite("tests/live/test_block_io.py", ("block_io",)),
        Suite("tests/live/test_sums.py", ("syscall_count", "other"), ("c", "d")),
        Suite("tests/live/test_sums.py", ("exec",), ("e",)),
    ]
    monkeypatch.setattr(compatibility, "SUITES", suites)
    page = compatibility.document([compatibility.read(tmp_path)])
    assert page.endswith(TABLE)
    assert page.startswith("# Compatibility\n")
    (tmp_path / "host.json").write_text(json.dumps({**HOST, "without": "fentry"}))
    assert "| | Linux 6.1.0 without fentry |" in compatibility.document(
        [compatibility.read(tmp_path)]
    )


def test_every_signal_has_tests_and_every_test_is_there() -> None:
    signals = {signal for suite in compatibility.SUITES for signal in suite.signals}
    assert signals == {probe.name for probe in catalog.probes().values()}
    for suite in compatibility.SUITES:
        text = (compatibility.REPOSITORY / suite.path).read_text(encoding="utf-8")
        chosen = suite.emulated if isinstance(suite.emulated, tuple) else ()
        for name in (*suite.names, *chosen):
            assert f"\ndef {name.partition('[')[0]}(" in text
