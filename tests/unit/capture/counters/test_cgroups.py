"""Cgroups of both versions, as folders that look like the kernel's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stackledger.capture.counters import cgroup, cgroupfiles
from stackledger.capture.counters.cpu import TICK_NS


def _write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def _unified(folder: Path, cpu_us: int, memory: int = 4096) -> Path:
    return _write(
        folder,
        cpu__stat=f"usage_usec {cpu_us}\nuser_usec 3\nsystem_usec 2\nnr_periods 9\n"
        "nr_throttled 1\nthrottled_usec 70\n",
        memory__current=f"{memory}\n",
        memory__max="max\n",
        memory__stat="anon 5\nfile 99\ninactive_file 20\nactive_file 10\n"
        "workingset_refault_anon 8\nworkingset_refault_file 7\n",
        memory__events="low 0\nhigh 0\nmax 6\noom 1\noom_kill 1\n",
        io__stat="8:0 rbytes=100 wbytes=20 rios=3 wios=2 dbytes=0 dios=0\n253:0 \n"
        "8:16 rbytes=1 wbytes=2 rios=3 wios=4\n",
        pids__current="5\n",
    )


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a root that the subject takes for version 2's."""
    monkeypatch.setattr(cgroup, "hierarchies", lambda _mounts: {cgroup.UNIFIED: tmp_path})
    return tmp_path


def test_version_2(tmp_path: Path) -> None:
    folder = _unified(tmp_path / "a", 1000)
    counts, levels = cgroupfiles.read({"cgroup2": (str(folder), 17)})
    assert counts == {
        "cpu_ns": 1_000_000,
        "user_ns": 3000,
        "system_ns": 2000,
        "periods": 9,
        "throttled_periods": 1,
        "throttled_ns": 70_000,
        "memory_limit_hits": 6,
        "refaults": 7,
        "oom_kills": 1,
        "read_bytes": 101,
        "write_bytes": 22,
        "reads": 6,
        "writes": 6,
    }
    assert levels == {
        "memory_bytes": 4096,
        "tasks": 5,
        "file_cache_bytes": 30,
        "memory_cgroup_id": 17,
    }


def test_version_1_in_hierarchies_of_its_own(tmp_path: Path) -> None:
    parts = {
        "cpuacct": {"cpuacct__usage": "777\n", "cpuacct__stat": "user 3\nsystem 2\n"},
        "cpu": {"cpu__stat": "nr_periods 5\nnr_throttled 2\nthrottled_time 99\n"},
        "memory": {
            "memory__usage_in_bytes": "4096\n",
            "memory__limit_in_bytes": "9223372036854771712\n",
            "memory__failcnt": "8\n",
            "memory__stat": "cache 9\ninactive_file 1\nactive_file 2\n"
            "total_inactive_file 300\ntotal_active_file 40\n"
            "workingset_refault_file 1\ntotal_workingset_refault_file 6\n",
            "memory__oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        },
        "blkio": {
            "blkio__throttle__io_serviced_recursive": "8:0 Read 4\n8:0 Write 5\nTotal 9\n",
            "blkio__throttle__io_service_bytes": "8:0 Read 40\n8:16 Read 2\n8:0 Write 50\n",
        },
    }
    folders = {
        name: (str(_write(tmp_path / name / "docker/x", **files)), inode)
        for inode, (name, files) in enumerate(parts.items(), 11)
    }
    counts, levels = cgroupfiles.read(folders)
    assert counts == {
        "cpu_ns": 777,
        "user_ns": 3 * TICK_NS,
        "system_ns": 2 * TICK_NS,
        "periods": 5,
        "throttled_periods": 2,
        "throttled_ns": 99,
        "memory_limit_hits": 8,
        "refaults": 6,
        "oom_kills": 1,
        "reads": 4,
        "writes": 5,
        "read_bytes": 42,
        "write_bytes": 50,
    }
    assert levels == {"memory_bytes": 4096, "file_cache_bytes": 340, "memory_cgroup_id": 13}


def test_disks_that_are_not_counted_are_not_zero() -> None:
    """Linux 6.10 and later count for version 1 only where a limit is set."""
    assert cgroupfiles.serviced("Total 0\n") is None
    assert cgroupfiles.serviced("8:0 Read 0\n8:0 Write 0\n8:0 Total 0\nTotal 0\n") == (0, 0)


def test_both_versions_side_by_side_are_one_tree(tmp_path: Path) -> None:
    for root in ("cpuacct", "memory", "unified"):
        (tmp_path / root / "docker" / "x y").mkdir(parents=True)
    (tmp_path / "memory/alone").mkdir()
    mounts = "\n".join(
        f"{kind} {tmp_path}/{root} {kind} {options} 0 0"
        for root, kind, options in (
            ("cpuacct", "cgroup", "rw,cpu,cpuacct"),
            ("memory", "cgroup", "rw,memory"),
            ("systemd", "cgroup", "rw,name=systemd"),
            ("unified", "cgroup2", "rw"),
        )
    )
    roots = cgroup.hierarchies(mounts)
    assert set(roots) == {"cpuacct", "cpu", "memory", "cgroup2"}
    found = cgroup.tree(roots)
    assert set(found) == {"/docker", "/docker/x y", "/alone"}
    assert set(found["/docker/x y"]) == {"cpuacct", "cpu", "memory", "cgroup2"}
    assert set(found["/alone"]) == {"memory"}


def _rows(subject: cgroup.Cgroups, at_ns: int) -> list[dict[str, Any]]:
    return subject.rows(at_ns)["cgroup_stat"]


def test_a_group_has_a_row_when_it_ran_and_its_interval_is_since_the_last(mounted: Path) -> None:
    _unified(mounted / "a", 1000)
    subject = cgroup.Cgroups()
    assert _rows(subject, 1) == []
    assert _rows(subject, 2) == []
    _unified(mounted / "a", 1007)
    (row,) = _rows(subject, 4)
    assert (row["cgroup"], row["interval_ns"], row["cpu_ns"]) == ("/a", 3, 7000)
    assert row["reads"] == 0


def test_a_group_that_appears_counts_from_nothing(mounted: Path) -> None:
    subject = cgroup.Cgroups()
    assert _rows(subject, 1) == []
    _unified(mounted / "late", 11)
    found = [row for at_ns in range(2, 9) for row in _rows(subject, at_ns)]
    assert [(row["cgroup"], row["cpu_ns"], row["interval_ns"]) for row in found] == [
        ("/late", 11_000, 5)
    ]


def test_a_group_that_vanishes_and_comes_again_gives_no_wrong_row(mounted: Path) -> None:
    _unified(mounted / "a", 1000)
    subject = cgroup.Cgroups()
    _rows(subject, 1)
    (mounted / "a").rename(mounted.parent / "gone")
    assert _rows(subject, 2) == []
    _unified(mounted / "a", 2000)
    assert _rows(subject, 3) == []


def test_a_name_that_is_no_text(mounted: Path) -> None:
    subject = cgroup.Cgroups()
    _rows(subject, 1)
    name = b"x\xff\n'; DROP".decode("utf-8", "surrogateescape")
    _unified(mounted / name, 5)
    found = [row for at_ns in range(2, 9) for row in _rows(subject, at_ns)]
    assert [row["cgroup"] for row in found] == ["/x\ufffd\n'; DROP"]
