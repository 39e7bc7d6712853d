"""Small parts become large ones: each row is there once, at any moment, for every reader."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stackledger import parts
from stackledger.capture import compaction, upkeep
from stackledger.capture.inventory import Part
from stackledger.capture.partfile import Written, write_part
from stackledger.capture.upkeep import Pace
from stackledger.capture.writer import PartWriter, arrow_schema
from stackledger.reading import reading, removing

TABLE = "block_io"
AT_ONCE = Pace(fan_in=4, settled_s=0)


def rows(*times: int) -> pa.Table:
    return pa.Table.from_pylist(
        [{"ts_ns": ts, "pid": ts % 3, "comm": f"c{ts % 5}", "sector": ts} for ts in times],
        schema=arrow_schema(TABLE),
    )


def written(folder: Path, number: int, *times: int) -> Part:
    """Write a part, and return what the inventory knows of it."""
    return Part(
        *(TABLE, number, number),
        write_part([rows(*times)], folder / TABLE / parts.file_name(number, number)),
    )


def seen(folder: Path) -> list[int]:
    """Return the times that a reader finds now."""
    return [
        ts
        for path in parts.current(folder / TABLE)
        for ts in pq.read_table(path, partitioning=None)["ts_ns"].to_pylist()
    ]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / TABLE).iterdir())


def test_a_merged_part_stands_for_its_parts(tmp_path: Path) -> None:
    run = [written(tmp_path, 1, 5, 1), written(tmp_path, 2, 2, 9), written(tmp_path, 3, 3)]
    made = compaction.merge(tmp_path, run)
    assert (made.first, made.last, made.tier) == (1, 3, 1)
    path = tmp_path / TABLE / "part-000001-000003.parquet"
    assert made.held == Written(5, path.stat().st_size, 1, 9)
    assert parts.current(tmp_path / TABLE) == [path]
    assert seen(tmp_path) == [1, 2, 3, 5, 9]
    assert [one.name for one in parts.replaced(tmp_path / TABLE)] == [
        f"part-{number:06d}.parquet" for number in (1, 2, 3)
    ]
    again = pq.read_table(path, partitioning=None)
    assert again.schema.equals(arrow_schema(TABLE))
    assert again.sort_by("ts_ns").equals(rows(1, 2, 3, 5, 9))


def test_a_time_range_finds_its_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "GROUP_ROWS", 10)
    run = [
        written(tmp_path, number, *range(number * 10, number * 10 + 10)) for number in range(1, 9)
    ]
    compaction.merge(tmp_path, run)
    (path,) = parts.current(tmp_path / TABLE)
    told = pq.ParquetFile(path).metadata
    bounds = [told.row_group(at).column(0).statistics for at in range(told.num_row_groups)]
    assert [(one.min, one.max) for one in bounds] == [(n * 10, n * 10 + 9) for n in range(1, 9)]


def test_rows_that_came_a_group_late_are_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "GROUP_ROWS", 10)
    late = [written(tmp_path, 1, *range(1, 30, 2)), written(tmp_path, 2, *range(20, 50, 2))]
    compaction.merge(tmp_path, late)
    assert seen(tmp_path) == sorted([*range(1, 30, 2), *range(20, 50, 2)])


@pytest.mark.parametrize(
    ("sizes", "ending", "expected"),
    [
        ([1] * 3, False, 0),
        ([1] * 4, False, 4),
        ([1] * 9, False, 4),
        ([1] * 9, True, 9),
        ([60, 1, 1, 1, 1], False, 4),  # after one that is large already
        ([40, 40, 40], False, 2),  # as many as fit
        ([60, 60, 60, 60], True, 0),
    ],
)
def test_what_is_merged(sizes: list[int], ending: bool, expected: int) -> None:
    many = [Part(TABLE, at, at, Written(1, size)) for at, size in enumerate(sizes, 1)]
    assert len(compaction.choose(many, 4, 100, ending=ending)) == expected


def test_parts_of_unlike_tiers_wait_for_the_end() -> None:
    many = [Part(TABLE, at, at, Written(1, 1), tier=at % 2) for at in range(8)]
    assert compaction.choose(many, 4, 100, ending=False) == []
    assert compaction.choose(many, 4, 100, ending=True) == many


def test_a_recording_merges_while_it_goes_on_and_at_its_end(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path, AT_ONCE)
    for second in range(1, 71):
        writer.add(TABLE, rows(second * 2, second * 2 + 1))
        writer.grow("host_pressure", pressure(second))
        writer.flush()
        if second > 1:
            hold = reading(tmp_path)
            found = seen(tmp_path)
            hold.release()
            assert found == list(range(2, 2 + len(found)))
    writer.close()
    assert names(tmp_path) == ["part-000001-000070.parquet"]
    assert seen(tmp_path) == list(range(2, 142))
    assert writer.bytes == parts.size_bytes(tmp_path)


def pressure(second: int) -> pa.Table:
    values = [{"ts_ns": second, "interval_ns": 1, "resource": "cpu"}]
    return pa.Table.from_pylist(values, schema=arrow_schema("host_pressure"))


def test_a_short_recording_is_left_as_it_is(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path)
    for second in range(100):
        writer.add(TABLE, rows(second))
        writer.flush()
    writer.close()
    assert len(names(tmp_path)) == 100


def test_a_part_that_cannot_be_read_stays_and_so_do_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = PartWriter(tmp_path, Pace(fan_in=4, settled_s=3))
    for second in range(1, 4):
        writer.add(TABLE, rows(second))
        writer.flush()
    writer.add(TABLE, rows(4))
    writer._cut(TABLE)
    writer._collect(wait=True)
    broken = tmp_path / TABLE / "part-000002.parquet"
    broken.write_bytes(b"no Parquet")
    writer.flush()
    writer.close()
    assert names(tmp_path) == [f"part-{number:06d}.parquet" for number in (1, 2, 3, 4)]
    assert broken.read_bytes() == b"no Parquet"
    told = capsys.readouterr().err
    assert told.startswith("stackledger: warning: parts of block_io are not merged: ")
    assert told.count("\n") == 1


# Ends at the nth step that changes what is on disk, before it and after it.
_KILLED = """
import os, signal, sys
from pathlib import Path
from stackledger.capture import compaction, upkeep
from stackledger.capture.inventory import Part
from stackledger.capture.partfile import Written

folder, wanted, done = Path(sys.argv[1]), int(sys.argv[2]), 0

def step(what):
    def counted(*words, **more):
        global done
        done += 1
        if done == wanted:
            os.kill(os.getpid(), signal.SIGKILL)
        return what(*words, **more)
    return counted

os.fsync = step(os.fsync)
Path.rename = step(Path.rename)
Path.unlink = step(Path.unlink)
run = [Part("block_io", n, n, Written(2, 1)) for n in range(1, 5)]
compaction.merge(folder, run)
upkeep._remove(folder, run, insist=False)
print(done)
"""


@pytest.mark.parametrize("step", range(1, 10))
def test_a_kill_at_any_step_leaves_each_row_once(step: int, tmp_path: Path) -> None:
    for number in range(1, 6):
        written(tmp_path, number, number * 10, number * 10 + 1)
    before = seen(tmp_path)
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path), str(step)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    # Two fsyncs, a rename, the temporary name, and each of the four parts.
    if step == 9:
        assert (killed.returncode, killed.stdout) == (0, "8\n")
    else:
        assert (killed.returncode, killed.stderr) == (-signal.SIGKILL, "")
    assert seen(tmp_path) == before


def test_who_reads_meanwhile_finds_each_row_once(tmp_path: Path) -> None:
    """A reader lists the parts, and opens them long after, as DuckDB does."""
    writer = PartWriter(tmp_path, AT_ONCE)
    over, wrong, answers = threading.Event(), [], []

    def read() -> None:
        with duckdb.connect() as connection:
            while not over.is_set():
                hold = reading(tmp_path)
                files = [str(path) for path in parts.current(tmp_path / TABLE)]
                for _ in range(3 if files else 0):
                    found = connection.execute(
                        "SELECT count(*), count(DISTINCT ts_ns), max(ts_ns) FROM read_parquet($1)",
                        [files],
                    ).fetchone()
                    answers.append(found)
                    if found is None or len(set(found)) != 1:
                        wrong.append((found, files))
                hold.release()

    readers = [threading.Thread(target=read) for _ in range(2)]
    for one in readers:
        one.start()
    try:
        for second in range(1, 301):
            writer.add(TABLE, rows(second))
            writer.flush()
            writer._collect(wait=True)
    finally:
        over.set()
        for one in readers:
            one.join()
    writer.close()
    assert wrong == []
    assert len({found[0] for found in answers}) > 3
    assert names(tmp_path) == ["part-000001-000300.parquet"]


def test_nothing_is_removed_while_somebody_reads(tmp_path: Path) -> None:
    run = [written(tmp_path, number, number) for number in (1, 2)]
    hold = reading(tmp_path)
    assert removing(tmp_path) is None
    assert not upkeep._remove(tmp_path, run, insist=False)
    assert len(names(tmp_path)) == 2
    hold.release()
    assert upkeep._remove(tmp_path, run, insist=False)
    assert names(tmp_path) == []


def test_who_reads_too_long_is_not_waited_for(tmp_path: Path) -> None:
    run = [written(tmp_path, 1, 1)]
    hold = reading(tmp_path)
    assert upkeep._remove(tmp_path, run, insist=True)
    assert names(tmp_path) == []
    hold.release()
