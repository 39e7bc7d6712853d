"""System calls counted as strace counts them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from stackledger.capture.interrupts import Interrupts

from .sched_tools import traced

pytestmark = pytest.mark.live

# A shell waits for its children by whatever number of calls it takes.
CHANCE = {"wait4", "rt_sigreturn", "rt_sigprocmask", "brk", "futex"}


def _strace(argv: list[str], out) -> dict[str, tuple[int, int]]:
    subprocess.run(["strace", "-c", "-f", "-o", str(out), *argv], check=True, capture_output=True)
    found = {}
    for line in out.read_text().splitlines()[2:]:
        words = line.split()
        if len(words) >= 5 and words[-1] != "total" and words[0][0].isdigit():
            found[words[-1]] = (int(words[3]), int(words[4]) if len(words) == 6 else 0)
    return found


def test_counts_and_errors_are_those_of_strace(tmp_path):
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    for name in ("sh", "dd", "ls"):
        shutil.copy(f"/bin/{name}", tmp_path / f"sl-{name}")
    (tmp_path / "work").write_text(
        "./sl-dd if=/dev/zero of=/dev/null bs=1 count=997\n"
        "./sl-ls /not-there /etc > /dev/null\n"
        "./sl-dd if=/dev/zero of=/dev/null bs=7 count=101\n"
    )
    argv = ["./sl-sh", "work"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        with Interrupts():  # as in a capture: where SIGINT is ignored a shell does more
            wanted = _strace(argv, tmp_path / "strace.txt")
        script = f"import subprocess\nsubprocess.run({argv!r}, check=True, capture_output=True)"
        capture = traced(tmp_path, ("syscall_count",), script, "sl-sh", "sl-dd", "sl-ls")
    found = {row["syscall"]: (row["calls"], row["errors"]) for row in capture.query("syscount")}
    assert found["read"][0] > 997 + 101
    assert found["write"][0] > 997 + 101
    # The shell's own began under another name, which is filtered out.
    wanted["execve"] = (wanted["execve"][0] - 1, 0)
    for name in set(wanted) - CHANCE:
        assert found.get(name) == wanted[name], name
    assert set(found) - CHANCE == set(wanted) - CHANCE
    by_process = capture.query("syscalls")
    assert {row["comm"] for row in by_process} == {"sl-sh", "sl-dd", "sl-ls"}
    assert sum(row["calls"] for row in by_process) == sum(calls for calls, _ in found.values())
    for row in capture.query("syscount"):
        assert 0 <= row["mean_ns"] <= row["max_ns"]
        assert row["p50_ns"] <= row["p99_ns"] <= row["max_ns"] * 1.01
