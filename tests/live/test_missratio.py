"""page_reuse against page_cache and a known order of reads; its forecast against larger caches."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stackledger import store
from stackledger.analysis.missratio import miss_ratio_curve
from stackledger.analysis.queries import run
from stackledger.capture.counters import cgroup as cgroups
from stackledger.capture.session import Options, record

if TYPE_CHECKING:
    import duckdb

pytestmark = pytest.mark.live

PAGE, STRIDE = 4096, 32
LOAD = Path(__file__).with_name("missratio_load.py")
_OTHER = os.environ.get("STACKLEDGER_OTHER_BPFTRACE", "")
BPFTRACES = [None, tuple(shlex.split(_OTHER))] if _OTHER else [None]
# Each page that is asked for counts once; the exact variant counts some differently.
PROBES = ("page_reuse", "page_cache.tracepoint")
MEMORY = 40 << 20


@dataclass(frozen=True)
class Ground:
    """A memory cgroup of our own, as `path` names it, and a folder on a disk."""

    cgroup: Path
    path: str
    folder: Path

    def limit(self, size: int) -> None:
        for name in ("memory.limit_in_bytes", "memory.max"):
            if (self.cgroup / name).exists():
                (self.cgroup / name).write_text(str(size))

    def load(self, file: Path, *how: object) -> tuple[str, ...]:
        words = (sys.executable, LOAD, self.cgroup / "cgroup.procs", file, *how)
        return tuple(str(word) for word in words)

    def file(self, name: str, pages: int) -> Path:
        """Return a new file of so many pages that is not in the cache."""
        path = self.folder / name
        with path.open("wb") as content:
            for _ in range(pages):
                content.write(os.urandom(PAGE))
            content.flush()
            os.fsync(content.fileno())
            os.posix_fadvise(content.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return path


@pytest.fixture
def ground() -> Iterator[Ground]:
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
    roots = cgroups.hierarchies(mounts)
    root = roots["memory"] if "memory" in roots else roots[cgroups.UNIFIED]
    group = Path(tempfile.mkdtemp(prefix="stackledger-test-", dir=root))
    if "memory" not in roots:
        (root / "cgroup.subtree_control").write_text("+memory")
    folder = Path(tempfile.mkdtemp(prefix="stackledger-test-", dir="/var/tmp"))
    try:
        yield Ground(group, f"/{group.name}", folder)
    finally:
        shutil.rmtree(folder)
        for _ in range(50):  # its last process may still be on its way out
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.1)


def _recorded(
    home: Path, bpftrace: Any, command: tuple[str, ...], probes: tuple[str, ...] = PROBES
) -> tuple[duckdb.DuckDBPyConnection, dict[str, int]]:
    """Return a capture of the load, and what it says that it did."""
    said = home / "said.json"
    outcome = record(
        Options(
            store=home,
            probes=probes,
            bpftrace=bpftrace,
            command=("sh", "-c", f"exec {shlex.join(command)} > {shlex.quote(str(said))}"),
        )
    )
    assert outcome.exit_code == 0, outcome.manifest.error
    for loss in outcome.manifest.losses:
        assert (loss.produced, loss.lost, loss.undecodable) == (loss.received, 0, 0)
    return store.connect(store.find("last", home)), json.loads(said.read_text())


def _miss_ratio(sql: duckdb.DuckDBPyConnection, pid: int) -> float:
    (found,) = sql.execute(
        "SELECT sum(read_in) / sum(lookups) FROM cache_use WHERE pid = $1", [pid]
    ).fetchall()
    return float(found[0])


@pytest.mark.parametrize("bpftrace", BPFTRACES, ids=str)
def test_every_access_counts_and_the_sample_tells_how_far_back_it_was(
    bpftrace: Any, ground: Ground, tmp_path: Path
) -> None:
    pages, times = 997, 4001  # some seconds: a cgroup's counters are read each second
    file = ground.file("loop", pages)
    subprocess.run(ground.load(file, "loop", 1), check=True, stdout=subprocess.DEVNULL)
    sql, said = _recorded(tmp_path, bpftrace, ground.load(file, "loop", times))
    counted = "SELECT sum(lookups)::BIGINT FROM {} WHERE pid = $1"
    (accesses,) = sql.execute(counted.format("page_access"), [said["pid"]]).fetchall()
    (lookups,) = sql.execute(counted.format("page_cache"), [said["pid"]]).fetchall()
    assert accesses == lookups
    assert pages * times <= accesses[0]
    group = ground.cgroup.stat().st_ino
    inside, walked, left = sql.execute(
        "SELECT sum(lookups)::BIGINT, sum(sampled)::BIGINT, sum(unwalked + untracked)::BIGINT"
        " FROM page_access WHERE cgroup_id = $1",
        [group],
    ).fetchall()[0]
    # Beside the file, some pages of the program itself.
    assert pages * times <= inside < pages * times + 500
    assert left == 0
    reused = sql.execute(
        "SELECT distance, sum(accesses)::BIGINT FROM page_reuse"
        " WHERE cgroup_id = $1 AND NOT cold AND distance >= 900 GROUP BY distance",
        [group],
    ).fetchall()
    # One page of each 32, each time but the first, one time around ago.
    whole = pages // STRIDE
    assert whole * (times - 1) <= sum(count for _, count in reused) <= (whole + 1) * (times - 1)
    assert {distance for distance, _ in reused} <= {992, 1000, 1008, 1016, 1024}
    assert walked >= whole * times
    # The curve of a loop: all or nothing.
    curve = miss_ratio_curve(sql, ground.path)
    assert curve is not None
    assert curve.whole.at(pages * PAGE * 0.8) > 0.9
    assert curve.whole.at(curve.largest_bytes) < 0.1
    rows = run(sql, "missratio", {"cgroup": ground.path})
    assert {row[0] for row in rows.rows} == {ground.path}


def test_pages_for_which_there_is_no_room_are_counted(ground: Ground, tmp_path: Path) -> None:
    groups = 33_500  # of pages of which one is in the sample; 32,768 have room
    file = ground.folder / "sparse"
    with file.open("wb") as content:
        content.truncate(groups * STRIDE * PAGE)
    ground.limit(MEMORY)
    sql, _ = _recorded(tmp_path, None, ground.load(file, "loop", 1))
    ((sampled, untracked),) = sql.execute(
        "SELECT sum(sampled)::BIGINT, sum(untracked)::BIGINT FROM page_access WHERE cgroup_id = $1",
        [ground.cgroup.stat().st_ino],
    ).fetchall()
    assert groups <= sampled + untracked < groups + 1000
    assert untracked >= groups - 32_768
    ((unseen,),) = sql.execute(
        "SELECT unseen FROM miss_ratio_today WHERE cgroup_id = $1",
        [ground.cgroup.stat().st_ino],
    ).fetchall()
    assert unseen == pytest.approx(untracked / (sampled + untracked), rel=0.05)


@pytest.mark.parametrize("bpftrace", BPFTRACES, ids=str)
def test_the_hit_rate_with_more_memory_is_foretold(
    bpftrace: Any, ground: Ground, tmp_path: Path
) -> None:
    file = ground.file("data", 6 * MEMORY // PAGE)

    def measured(size: int, seconds: int, probes: tuple[str, ...]) -> Any:
        ground.limit(size)
        warm = ground.load(file, "random", 6, 1)
        subprocess.run(warm, check=True, stdout=subprocess.DEVNULL)
        return _recorded(tmp_path, bpftrace, ground.load(file, "random", seconds, 2), probes)

    sql, said = measured(MEMORY, 10, PROBES)
    curve = miss_ratio_curve(sql, ground.path)
    assert curve is not None
    assert curve.today_bytes is not None
    assert curve.predicted_today is not None
    today = _miss_ratio(sql, said["pid"])
    print(f"1x: model {curve.predicted_today:.4f}, measured {today:.4f}")
    assert curve.measured_today == pytest.approx(today, abs=0.01)
    # Uncorrected: today is what the larger sizes are corrected by.
    assert abs(curve.predicted_today - today) <= 0.08
    for times in (2, 4):
        larger = curve.today_bytes + (times - 1) * MEMORY
        foretold, band = curve.miss_ratio(larger), curve.interval(larger)
        assert curve.tells(larger)
        sql, said = measured(times * MEMORY, 5, ("page_cache.tracepoint",))
        found = _miss_ratio(sql, said["pid"])
        uncorrected = curve.whole.at(larger)
        print(
            f"{times}x: foretold {foretold:.4f} ({band[0]:.4f}-{band[1]:.4f}),"
            f" without correction {uncorrected:.4f}, measured {found:.4f}"
        )
        assert abs(foretold - found) <= 0.05
        # It makes a difference: the bound alone would hold for a model of no change.
        assert found < today - 0.05
