"""What faults of a disk are made of: a slow one, and somebody who writes to it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from faultbed import CGROUPS

from stackledger.labs import disk

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def slow_disk(folder: Path, write_bps: int) -> Iterator[Path]:
    """Mount a disk that writes so much a second, whoever writes; its dirty pages are few.

    It is a disk in a file on another one that is throttled: its I/Os wait as in a device.
    """
    rule = CGROUPS / "blkio" / "blkio.throttle.write_bps_device"
    with disk.disk(folder) as lower, disk.disk(lower.folder) as upper:
        limits = Path("/sys/block", upper.name, "bdi")
        (limits / "strict_limit").write_text("1")
        (limits / "max_bytes").write_text(str(16 << 20))
        throttled = f"{lower.dev >> 20}:{lower.dev & 0xFFFFF}"
        rule.write_text(f"{throttled} {write_bps}")
        try:
            yield upper.folder
        finally:
            rule.write_text(f"{throttled} 0")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Write to a file without end, and never wait for it."""
    running = subprocess.Popen([sys.executable, "-c", _WRITING, str(path)])
    try:
        yield
    finally:
        running.kill()
        running.wait()


_WRITING = """
import sys
with open(sys.argv[1], "wb", buffering=0) as out:
    while True:
        out.seek(0)
        for _ in range(256):
            out.write(bytes(1 << 20))
"""
