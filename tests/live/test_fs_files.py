"""Opens, reads, writes and fsyncs: as many as the program made, and as strace counts."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from stackledger import store
from stackledger.analysis.queries import run
from stackledger.capture.session import Options, record

if TYPE_CHECKING:
    import duckdb

pytestmark = pytest.mark.live

LOAD = Path(__file__).with_name("files_load.py")
_OTHER = os.environ.get("STACKLEDGER_OTHER_BPFTRACE", "")
BPFTRACES = [None, tuple(shlex.split(_OTHER))] if _OTHER else [None]
PROBES = ("file_open", "file_io", "vfs", "fsync", "journal")
OPERATIONS = {
    0: ("read", "pread64", "readv", "preadv", "preadv2"),
    1: ("write", "pwrite64", "writev", "pwritev", "pwritev2"),
    2: ("fsync", "fdatasync"),
    3: ("open", "openat", "openat2", "creat"),
    5: ("unlink", "unlinkat", "rmdir"),
    6: ("rename", "renameat", "renameat2"),
    7: ("mkdir", "mkdirat"),
}


class Recorded(NamedTuple):
    """The load's capture: what it said of itself, and what strace counted."""

    sql: duckdb.DuckDBPyConnection
    folder: Path
    pid: int
    inode: int
    dev: int
    strace: dict[str, tuple[int, int]]
    commits: int

    def rows(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        return self.sql.execute(text, list(values)).fetchall()


def _strace(path: Path) -> dict[str, tuple[int, int]]:
    """Return calls and errors by system call."""
    found = {}
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) in (5, 6) and re.fullmatch(r"[0-9.]+", words[0]) and words[-1] != "total":
            found[words[-1]] = int(words[3]), int(words[4]) if len(words) == 6 else 0
    return found


def _commits(disk: str) -> int:
    """Return how many transactions the disk's journal has committed since it was mounted."""
    (info,) = Path("/proc/fs/jbd2").glob(f"{disk}-*/info")
    return int(info.read_text().split()[0])


@pytest.fixture(scope="module", params=BPFTRACES, ids=str)
def recorded(
    request: pytest.FixtureRequest, loop_disk: Any, tmp_path_factory: pytest.TempPathFactory
) -> Recorded:
    """Record the load, and strace beside it, on a file system of its own."""
    home = tmp_path_factory.mktemp("files")
    folder = loop_disk.folder / home.name
    folder.mkdir()
    said, counted = home / "said.json", home / "strace"
    load = shlex.join(["strace", "-c", "-o", str(counted), sys.executable, str(LOAD), str(folder)])
    before = _commits(loop_disk.name)
    outcome = record(
        Options(
            store=home,
            probes=PROBES,
            bpftrace=request.param,
            command=("sh", "-c", f"{load} > {shlex.quote(str(said))}"),
        )
    )
    commits = _commits(loop_disk.name) - before
    assert outcome.exit_code == 0, outcome.manifest.error
    for loss in outcome.manifest.losses:
        assert (loss.produced, loss.lost, loss.undecodable) == (loss.received, 0, 0)
    told = json.loads(said.read_text())
    return Recorded(
        store.connect(store.find("last", home)),
        folder,
        told["pid"],
        told["inode"],
        loop_disk.dev,
        _strace(counted),
        commits,
    )


def test_every_open_is_there_with_its_errno_and_path(recorded: Recorded) -> None:
    rows = recorded.rows(
        "SELECT path, error, flags, created, fd, dev, dur_ns FROM file_open WHERE pid = $1",
        recorded.pid,
    )
    base = str(recorded.folder)
    there = [row for row in rows if row[0] == f"{base}/there"]
    nasty = [row for row in rows if row[0] == f'{base}/no\n"such\ufffd\\file,']
    # Of them one that made it: pathlib's.
    assert Counter(row[1] for row in there) == {0: 1 + 23 + 29 + 31}
    assert sum(row[3] for row in there) == 1
    assert {row[5] for row in there} == {recorded.dev}
    assert sum(bool(row[2] & os.O_NOATIME) for row in there) == 31
    assert Counter(row[1] for row in nasty) == {-errno.ENOENT: 5 + 7 + 11}
    assert {row[4] for row in nasty} == {-1}
    new = [row for row in rows if re.fullmatch(re.escape(base) + r"/new\d+", row[0])]
    assert len(new) == 13
    assert all(created for _, _, _, created, *_ in new)
    assert Counter(row[1] for row in rows)[-errno.EFAULT] == 3
    assert min(row[6] for row in rows) > 0
    (long,) = [row[0] for row in rows if "/ddd" in row[0]]
    # Cut where the older bpftrace, and where the newer one, has no more room.
    assert f"{base}/{'d' * 100}/{'f' * 60}".startswith(long)
    assert len(long) in (63, 191)


def test_opens_are_as_many_as_strace_counts(recorded: Recorded) -> None:
    ((calls, errors),) = recorded.rows(
        "SELECT count(*), count(*) FILTER (WHERE error <> 0) FROM file_open WHERE pid = $1",
        recorded.pid,
    )
    counted = [recorded.strace.get(name, (0, 0)) for name in OPERATIONS[3]]
    assert (calls, errors) == (sum(n for n, _ in counted), sum(n for _, n in counted))


@pytest.mark.parametrize("op", sorted(OPERATIONS))
def test_operations_are_as_many_as_strace_counts(recorded: Recorded, op: int) -> None:
    ((calls, errors),) = recorded.rows(
        "SELECT sum(calls), sum(errors) FROM vfs WHERE pid = $1 AND op = $2", recorded.pid, op
    )
    counted = [recorded.strace.get(name, (0, 0)) for name in OPERATIONS[op]]
    assert (calls, errors) == (sum(n for n, _ in counted), sum(n for _, n in counted))


def test_creates_are_the_files_that_were_not_there(recorded: Recorded) -> None:
    ((calls,),) = recorded.rows(
        "SELECT sum(calls) FROM vfs WHERE pid = $1 AND op = 4 AND comm = 'filesload'",
        recorded.pid,
    )
    assert calls == 1 + 13 + 1 + 1  # there, new…, fff…, data


def test_reads_and_writes_of_a_file(recorded: Recorded) -> None:
    (found,) = recorded.rows(
        "SELECT sum(calls), sum(reads), sum(writes), sum(read_bytes), sum(write_bytes),"
        " sum(errors) FROM file_io WHERE pid = $1 AND inode = $2 AND dev = $3",
        *(recorded.pid, recorded.inode, recorded.dev),
    )
    writes = 41 + 3 + 19 + 17
    reads = 37 + 3 + 3
    written = sum(1000 + number for number in range(41)) + 77 + 30 + 30 + 10 * (19 + 17)
    read = sum(100 + number for number in range(37)) + 500 + 110 + 70
    assert found == (reads + writes, reads, writes, read, written, 3)


def test_fsyncs(recorded: Recorded) -> None:
    rows = recorded.rows(
        "SELECT datasync, error, dev, inode, dur_ns FROM fsync WHERE pid = $1", recorded.pid
    )
    kinds = Counter((datasync, error) for datasync, error, *_ in rows)
    assert kinds == {(False, 0): 19, (True, 0): 17, (False, -errno.EBADF): 1}
    files = Counter((dev, inode) for _, _, dev, inode, _ in rows)
    assert files == {(recorded.dev, recorded.inode): 36, (0, 0): 1}
    assert min(row[4] for row in rows) > 0


def test_commits_of_the_journal(recorded: Recorded) -> None:
    rows = recorded.rows(
        "SELECT transaction, dur_ns, locking_ns + flushing_ns + logging_ns, blocks_logged"
        " FROM journal WHERE dev = $1 ORDER BY ts_ns",
        recorded.dev,
    )
    assert len(rows) == recorded.commits > 0
    numbers = [row[0] for row in rows]
    assert numbers == list(range(numbers[0], numbers[0] + len(rows)))
    assert all(whole == parts > 0 and blocks > 0 for _, whole, parts, blocks in rows)


def test_the_queries_name_the_file(recorded: Recorded) -> None:
    path = str(recorded.folder / "data")
    filetop = run(recorded.sql, "filetop")
    ((pid, comm, reads, writes, *_),) = [
        row for row in filetop.rows if row[filetop.columns.index("file")] == path
    ]
    assert (pid, comm, reads, writes) == (recorded.pid, "filesload", 43, 80)
    fsyncs = run(recorded.sql, "fsyncs")
    mine = [row for row in fsyncs.rows if row[fsyncs.columns.index("file")] == path]
    assert {row[2]: row[3] for row in mine} == {"fsync": 19, "fdatasync": 17}
    failed = run(recorded.sql, "opensnoop", {"pid": recorded.pid, "failed": 1})
    errors = Counter(row[failed.columns.index("err")] for row in failed.rows)
    assert errors[errno.EFAULT] == 3
    assert errors[errno.ENOENT] >= 23
    assert 0 not in errors
