"""A disk, a network namespace and cgroups of our own: nobody else's events are in there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stackledger import store
from stackledger.capture.session import Options, record

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

HERE = Path(__file__).parent
DISK_BYTES = 16 << 20


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


@dataclass(frozen=True)
class Recorded:
    """A capture of scene.py, and what scene.py told."""

    told: dict[str, Any]
    sql: duckdb.DuckDBPyConnection
    device: str
    netns: int
    groups: list[str]

    def one(self, query: str, *values: object) -> dict[str, Any]:
        """Return the only row of a query with $1, $2 …"""
        cursor = self.sql.execute(query, list(values))
        names = [column[0] for column in cursor.description or ()]
        (row,) = cursor.fetchall()
        return dict(zip(names, row, strict=True))


@pytest.fixture(scope="session")
def disk() -> Iterator[str]:
    """Give a loop device with a file behind it."""
    with tempfile.TemporaryDirectory(prefix="stackledger-test-", dir="/var/tmp") as folder:
        image = Path(folder) / "disk.img"
        image.write_bytes(bytes(DISK_BYTES))
        device = _run("losetup", "--find", "--show", str(image))
        try:
            yield device
        finally:
            _run("losetup", "--detach", device)


@pytest.fixture(scope="session")
def namespace() -> Iterator[str]:
    """Give a network namespace in which a process sleeps."""
    name = f"slh-{os.getpid()}"
    _run("ip", "netns", "add", name)
    try:
        _run("ip", "-n", name, "link", "set", "lo", "up")
        with subprocess.Popen(["ip", "netns", "exec", name, "sleep", "600"]) as sleeper:
            yield name
            sleeper.kill()
    finally:
        _run("ip", "netns", "del", name)


@pytest.fixture(scope="session")
def groups(disk: str) -> Iterator[list[Path]]:
    """Give an empty group in each hierarchy that counts: one name in all of version 1's."""
    made = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        words = line.split()
        counting = {"cpuacct", "memory", "blkio", "pids"} & set(words[3].split(","))
        if words[2] == "cgroup2" or (words[2] == "cgroup" and counting):
            group = Path(words[1]) / f"stackledger-test-v{words[2][6:] or 1}-{os.getpid()}"
            group.mkdir()
            made.append(group)
            if "blkio" in counting:
                # New kernels count only where there is a limit: one that nobody meets.
                number = os.stat(disk).st_rdev  # noqa: PTH116
                rule = f"{os.major(number)}:{os.minor(number)} 1000000"
                (group / "blkio.throttle.read_iops_device").write_text(rule)
    yield made
    for group in made:
        group.rmdir()


@pytest.fixture(scope="session")
def recorded(
    disk: str, namespace: str, groups: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Recorded:
    """Record scene.py."""
    folder = tmp_path_factory.mktemp("scene")
    told = folder / "told.json"
    words = [sys.executable, str(HERE / "scene.py"), disk, namespace, *map(str, groups)]
    script = 'out=$1; shift; exec "$@" > "$out"'
    outcome = record(
        Options(
            store=folder / "store",
            probes=("block_io.tracepoint",),
            command=("sh", "-c", script, "sh", str(told), *words),
        )
    )
    assert outcome.exit_code == 0, outcome.manifest.error
    return Recorded(
        told=json.loads(told.read_text()),
        sql=store.connect(store.find("last", folder / "store")),
        device=Path(disk).name,
        netns=Path(f"/run/netns/{namespace}").stat().st_ino,
        groups=sorted({f"/{group.name}" for group in groups}),
    )
