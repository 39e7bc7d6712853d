"""Every signal's tests again: here, with Debian 13's bpftrace, and on Debian 12's kernel.

`just test-kernels` writes docs/compatibility.md from what they leave.
STACKLEDGER_CHROOT names a chroot with a bpftrace in it; without, one is made by
debootstrap under /var/tmp, once. `.ci/setup-kernels` fetches the kernel.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import machine
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).resolve().parents[2]
INSIDE = REPOSITORY / "tests/kernels/inside.py"
OWN = Path("/var/tmp/stackledger-trixie")
EMULATED_S = 1500.0


@contextmanager
def _mounted(folder: Path, kind: str) -> Iterator[None]:
    """Bind one of the host's folders into the chroot, unless that was done before."""
    place = folder / kind
    if os.path.ismount(place):
        yield
        return
    subprocess.run(["mount", "--rbind", f"/{kind}", str(place)], check=True)
    subprocess.run(["mount", "--make-rslave", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--recursive", "--lazy", str(place)], check=True)


@pytest.fixture(scope="module")
def newer_bpftrace(unable: Callable[[str], None]) -> Iterator[tuple[str, ...]]:
    """Give the command that runs the chroot's bpftrace."""
    if os.geteuid() != 0:
        unable("needs root")
    folder = Path(os.environ.get("STACKLEDGER_CHROOT", OWN))
    if not (folder / "usr/bin/bpftrace").exists():
        if shutil.which("debootstrap") is None:
            unable("needs debootstrap, or a chroot in STACKLEDGER_CHROOT")
        shutil.rmtree(folder, ignore_errors=True)
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", "--include=bpftrace", "trixie", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            unable(f"cannot make a chroot: {made.stdout[-300:]}{made.stderr[-300:]}")
    with ExitStack() as mounts:
        for kind in ("proc", "sys", "dev"):
            mounts.enter_context(_mounted(folder, kind))
        yield ("chroot", str(folder), "bpftrace")


@pytest.fixture
def debian_12(unable: Callable[[str], None]) -> machine.Kernel:
    """Give Linux 6.1, fetched."""
    if missing := machine.missing():
        unable(f"needs {', '.join(missing)}")
    kernel = machine.kernel("6.1")
    if kernel is None:
        unable("needs a kernel: .ci/setup-kernels")
    assert kernel is not None
    return kernel


def _here(results: Path, **env: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(INSIDE), str(results)],
        cwd=REPOSITORY,
        env={**os.environ, "STACKLEDGER_LIVE": "required", **env},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_linux_of_this_host(unable: Callable[[str], None], results: Path) -> None:
    if os.geteuid() != 0:
        unable("needs root")
    status, said = _here(results)
    print(said[-20_000:])
    assert status == 0


def test_bpftrace_of_debian_13(newer_bpftrace: tuple[str, ...], results: Path) -> None:
    """All that a live test asks of the host's bpftrace, asked of this one."""
    said = subprocess.run([*newer_bpftrace, "--version"], capture_output=True, text=True)
    assert said.stdout.startswith("bpftrace v0.2")
    status, text = _here(results, STACKLEDGER_OTHER_BPFTRACE=" ".join(newer_bpftrace))
    print(text[-20_000:])
    assert status == 0
    assert json.loads((results / "host.json").read_text())["bpftrace"] in said.stdout
    assert "skipped" not in text


def _emulated(kernel: machine.Kernel, results: Path, *options: str) -> None:
    env = {
        "STACKLEDGER_LIVE": "required",
        "STACKLEDGER_ATTACH_LIMIT": f"{EMULATED_S / 3:.0f}s",
        "PYTHONPATH": str(REPOSITORY / "pipeline"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_ADDOPTS": "--basetemp=/var/tmp/pytest",
    }
    argv = [sys.executable, str(INSIDE), str(machine.SHARED), "--emulated", *options]
    needs = {REPOSITORY, Path(sys.prefix), Path(sys.base_prefix)}
    ran = machine.run(
        kernel, argv, results, cwd=REPOSITORY, env=env, limit_s=EMULATED_S, needs=needs
    )
    print(ran.said[-20_000:])
    assert ran.status == 0
    assert json.loads((results / "host.json").read_text())["kernel"] == kernel.release


def test_linux_of_debian_12(debian_12: machine.Kernel, results: Path) -> None:
    """Probes on the hooks of an older kernel: fewer tracepoints, but functions."""
    _emulated(debian_12, results)


def test_linux_of_debian_12_by_kprobes(debian_12: machine.Kernel, results: Path) -> None:
    """The same kernel as if it had no fentry, where that makes a difference."""
    _emulated(debian_12, results, "--kprobes")
    signals = json.loads((results / "host.json").read_text())["signals"]
    assert {*signals} == {"block_io", "page_cache", "tcp_io"}
