"""Debian 13's bpftrace in a chroot: the same figures and the same schema as with Debian 12's.

STACKLEDGER_CHROOT names a chroot with a bpftrace in it; without, one is made by
debootstrap under /var/tmp, once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[2]
REQUIRED = os.environ.get("STACKLEDGER_LIVE") == "required"
OWN = Path("/var/tmp/stackledger-trixie")


def _unable(reason: str) -> None:
    if REQUIRED:
        pytest.fail(f"STACKLEDGER_LIVE=required, but this host {reason}", pytrace=False)
    pytest.skip(reason)


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
def bpftrace() -> Iterator[tuple[str, ...]]:
    """Give the command that runs the chroot's bpftrace."""
    if os.geteuid() != 0:
        _unable("needs root")
    folder = Path(os.environ.get("STACKLEDGER_CHROOT", OWN))
    if not (folder / "usr/bin/bpftrace").exists():
        if shutil.which("debootstrap") is None:
            _unable("needs debootstrap, or a chroot in STACKLEDGER_CHROOT")
        shutil.rmtree(folder, ignore_errors=True)
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", "--include=bpftrace", "trixie", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            _unable(f"cannot make a chroot: {made.stdout[-300:]}{made.stderr[-300:]}")
    with ExitStack() as mounts:
        for kind in ("proc", "sys", "dev"):
            mounts.enter_context(_mounted(folder, kind))
        yield ("chroot", str(folder), "bpftrace")


def test_it_is_another_bpftrace(bpftrace):
    said = subprocess.run([*bpftrace, "--version"], capture_output=True, text=True, check=True)
    host = subprocess.run(["bpftrace", "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("bpftrace v0.2")
    assert said.stdout != host.stdout


@pytest.mark.parametrize("file", ["test_ledger.py", "test_block_io.py"])
def test_every_figure_holds(bpftrace, file):
    """All that a live test asks of the host's bpftrace, asked of this one."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--tb=short", f"tests/live/{file}"],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "STACKLEDGER_OTHER_BPFTRACE": " ".join(bpftrace),
            "STACKLEDGER_LIVE": "required",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout[-20_000:])
    assert done.returncode == 0
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
