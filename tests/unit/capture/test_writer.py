"""Parts on disk: whole, sorted, small, and never half of one."""

from __future__ import annotations

import errno
import random
import resource
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stackledger.capture import writer
from stackledger.capture.partfile import unwritable, write_part
from stackledger.capture.writer import PartWriter, arrow_schema, to_epoch
from stackledger.errors import StackledgerError
from stackledger.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator


def _rows(*times: int) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"ts_ns": ts, "pid": 1, "tid": 1, "comm": "dd", "rwbs": "R", "sector": ts}
            for ts in times
        ],
        schema=arrow_schema("block_io"),
    )


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def test_every_table_has_a_schema() -> None:
    for name, table in TABLES.items():
        assert arrow_schema(name).names == [column.name for column in table.columns]


def test_rows_come_back_sorted_and_typed(tmp_path: Path) -> None:
    parts = PartWriter(tmp_path)
    parts.add("block_io", _rows(3, 1))
    parts.add("block_io", _rows(2))
    parts.close()
    (path,) = _parts(tmp_path)
    assert path == tmp_path / "block_io" / "part-000001.parquet"
    found = pq.read_table(path, partitioning=None)
    assert found.schema.equals(arrow_schema("block_io"))
    assert found["ts_ns"].to_pylist() == [1, 2, 3]
    assert parts.bytes == path.stat().st_size
    assert parts.total == {"block_io": 3}


def test_a_full_part_is_written_at_once_and_the_rest_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PART_ROWS", 10)
    parts = PartWriter(tmp_path)
    for start in range(0, 25, 5):
        parts.add("block_io", _rows(*range(start, start + 5)))
    parts.close()
    assert [len(pq.read_table(path, partitioning=None)) for path in _parts(tmp_path)] == [10, 10, 5]


def test_dictionaries_of_several_pieces_become_one(tmp_path: Path) -> None:
    encoded = [
        _rows(number).set_column(3, "comm", pa.array([f"name{number}"]).dictionary_encode())
        for number in (1, 2, 3)
    ]
    write_part(encoded, tmp_path / "part.parquet")
    found = pq.read_table(tmp_path / "part.parquet")
    assert found["comm"].to_pylist() == ["name1", "name2", "name3"]
    assert found.schema.field("comm").type == pa.string()


def test_clock_readings_move_to_the_epoch_and_durations_stay() -> None:
    rows = pa.table({"ts_ns": [5, 0], "owner_recv_ts_ns": [7, 0], "wall_ns": [9, 0]})
    moved = to_epoch(rows, 1000).to_pydict()
    assert moved == {"ts_ns": [1005, 0], "owner_recv_ts_ns": [1007, 0], "wall_ns": [9, 0]}


@contextmanager
def _file_size_limit(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_that_fills_leaves_nothing_half_written(tmp_path: Path) -> None:
    parts = PartWriter(tmp_path)
    with _file_size_limit(100):
        parts.add("block_io", _rows(1, 2, 3))
        with pytest.raises(StackledgerError, match="cannot write to the store") as failure:
            parts.close()
    assert failure.value.hint is not None
    assert "--store" in failure.value.hint
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_full_disk_says_so() -> None:
    full = unwritable(Path("/s"), OSError(errno.ENOSPC, "No space left on device"))
    assert str(full) == "cannot write to the store: /s: No space left on device"
    assert full.hint is not None
    assert full.hint.startswith("free some space")


def test_a_store_that_is_no_folder(tmp_path: Path) -> None:
    blocked = tmp_path / "block_io"
    blocked.write_text("in the way")
    parts = PartWriter(tmp_path)
    parts.add("block_io", _rows(1))
    with pytest.raises(StackledgerError, match="cannot write to the store"):
        parts.close()
    assert list(tmp_path.iterdir()) == [blocked]


def test_a_row_of_block_io_takes_at_most_15_bytes(tmp_path: Path) -> None:
    random.seed(5)
    ts, rows = 10**18, []
    for _ in range(writer.PART_ROWS):
        ts += random.randrange(2_000, 60_000)
        rows.append(
            {
                "ts_ns": ts,
                "pid": random.choice([101, 202, 303]),
                "tid": random.choice([101, 202, 303]),
                "comm": random.choice(["postgres", "fio", "kworker/u8:1"]),
                "dev": 254 << 20,
                "sector": random.randrange(1 << 29),
                "bytes": random.choice([4096, 8192, 16384]),
                "rwbs": random.choice(["R", "WS", "FF"]),
                "queue_ns": random.randrange(2_000, 9_000),
                "device_ns": random.randrange(40_000, 400_000),
                "error": 0,
            }
        )
    table = pa.Table.from_pylist(rows, schema=arrow_schema("block_io"))
    held = write_part([table], tmp_path / "part.parquet")
    assert held.size_bytes / len(table) <= 15
