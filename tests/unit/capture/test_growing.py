"""Parts that are replaced while they grow: whole at any time, at most four seconds old, few."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stackledger.capture import growing
from stackledger.capture.writer import PartWriter, arrow_schema
from stackledger.errors import StackledgerError


def _rows(at_ns: int) -> pa.Table:
    values = [{"ts_ns": at_ns, "interval_ns": 1, "resource": "cpu"}]
    return pa.Table.from_pylist(values, schema=arrow_schema("host_pressure"))


def _parts(folder: Path) -> list[Path]:
    return sorted((folder / "host_pressure").glob("*"))


def _times(folder: Path) -> list[int]:
    return [
        at_ns
        for part in _parts(folder)
        for at_ns in pq.read_table(part, partitioning=None)["ts_ns"].to_pylist()
    ]


def test_what_is_on_disk_lags_by_four_calls_at_most(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path)
    for second in range(1, 12):
        writer.grow("host_pressure", _rows(second))
        writer.flush()
        for writing in list(writer._growing._writing.values()):
            writing.result()
        there = _times(tmp_path) if _parts(tmp_path) else []
        assert there == list(range(1, len(there) + 1))
        assert second - len(there) < 4
        assert len(_parts(tmp_path)) <= 1
    assert writer.bytes > 0
    writer.close()
    assert _times(tmp_path) == list(range(1, 12))
    assert writer.bytes == sum(part.stat().st_size for part in _parts(tmp_path))


def test_a_long_part_is_finished_and_the_next_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "_LONGEST", 5)
    writer = PartWriter(tmp_path)
    for second in range(1, 24):
        writer.grow("host_pressure", _rows(second))
        writer.flush()
    writer.close()
    assert [part.name for part in _parts(tmp_path)] == [
        f"part-{number:06d}.parquet" for number in range(1, 6)
    ]
    assert _times(tmp_path) == list(range(1, 24))


def test_what_is_not_written_at_an_abort_is_gone_and_nothing_is_half(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path)
    writer.grow("host_pressure", _rows(1))
    writer.abort()
    assert _parts(tmp_path) == []


def test_a_store_that_takes_no_more_is_said(tmp_path: Path) -> None:
    (tmp_path / "host_pressure").write_text("a file where the folder should be")
    writer = PartWriter(tmp_path)
    writer.grow("host_pressure", _rows(1))
    with pytest.raises(StackledgerError, match="cannot write to the store"):
        writer.close()


def test_a_kill_costs_four_seconds_at_most(tmp_path: Path) -> None:
    """Under load the writer may be late: one more is allowed here."""
    stand_in = Path(__file__).with_name("stand_in.py")
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from stackledger.capture.session import Options, record\n"
        f"tracer = (sys.executable, {str(stand_in)!r}, 'fine')\n"
        "options = Options(store=Path(sys.argv[1]), probes=('block_io.tracepoint',),\n"
        "                  bpftrace=tracer, duration_s=60)\n"
        "record(options, lambda at: print(at.phase, at.elapsed_s, flush=True))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, env=env, text=True
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            phase, elapsed_s = line.split()
            if phase == "recording" and float(elapsed_s) > 5.5:
                break
        run.kill()
        killed_ns = time.time_ns()
    (folder,) = tmp_path.glob("dt=*/host=*/capture=*")
    for table in ("host_cpu", "host_disk", "host_net", "process_stat"):
        (part,) = (folder / table).glob("part-*.parquet")
        at_ns = pq.read_table(part, partitioning=None)["ts_ns"].to_pylist()
        assert killed_ns - max(at_ns) < 5e9
        assert len(set(at_ns)) >= 3
