"""What a kernel offers, by the lists of a tracefs that is made up here."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackledger.capture.hooks import listed

FORMAT = """name: block_getrq
ID: 1054
format:
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:sector_t sector;	offset:16;	size:8;	signed:0;
	field:char rwbs[8];	offset:28;	size:8;	signed:1;

print fmt: "%s %llu", REC->rwbs, (unsigned long long)REC->sector_of;
"""
FUNCTIONS = "vfs_read\nsock_recvmsg\next4_sync_file [ext4]\n"


@pytest.fixture
def tracefs(tmp_path: Path) -> Path:
    (tmp_path / "events" / "block" / "block_getrq").mkdir(parents=True)
    (tmp_path / "events" / "block" / "enable").write_text("0")
    (tmp_path / "events" / "block" / "block_getrq" / "format").write_text(FORMAT)
    (tmp_path / "available_filter_functions").write_text(FUNCTIONS)
    return tmp_path


@pytest.mark.parametrize(
    ("hook", "there"),
    [
        ("tracepoint:block:block_getrq", True),
        ("tracepoint:block:block_io_start", False),
        ("tracepoint:sock:block_getrq", False),
        ("tracepoint:block:block_getrq.sector", True),
        ("tracepoint:block:block_getrq.rwbs", True),
        ("tracepoint:block:block_getrq.sect", False),
        ("tracepoint:block:block_getrq.tor", False),
        ("tracepoint:block:block_getrq.sector_of", False),
        ("tracepoint:block:block_io_start.sector", False),
        ("rawtracepoint:block_getrq", True),
        ("rawtracepoint:block_io_start", False),
        ("kfunc:vfs_read", True),
        ("kretfunc:ext4_sync_file", True),
        ("kfunc:vfs_write", False),
        ("kprobe:vfs_write", False),
        ("profile:hz:99", True),
        ("software:page_faults", True),
    ],
)
def test_what_is_listed_is_there(tracefs: Path, hook: str, there: bool) -> None:
    assert listed(tracefs, lambda _hook: True)(hook) is there


def test_a_function_is_there_only_where_one_of_its_kind_attaches(tracefs: Path) -> None:
    asked = []

    def attaches(hook: str) -> bool:
        asked.append(hook)
        return hook.startswith("kprobe:")

    has = listed(tracefs, attaches)
    assert not has("kfunc:vfs_write")
    assert asked == []
    assert not has("kfunc:vfs_read")
    assert not has("kretfunc:sock_recvmsg")
    assert has("kprobe:sock_recvmsg")
    assert asked == ["kfunc:vfs_read", "kprobe:sock_recvmsg"]


def test_without_a_list_of_functions_there_are_none(tracefs: Path) -> None:
    (tracefs / "available_filter_functions").unlink()
    has = listed(tracefs, lambda _hook: True)
    assert not has("kfunc:vfs_read")
    assert has("tracepoint:block:block_getrq")
