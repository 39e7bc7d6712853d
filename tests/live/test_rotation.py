"""A recording that goes on: parts are merged and dropped, and every answer stays right."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from stackledger import parts, store
from stackledger.capture.retention import Retention
from stackledger.capture.script import from_file
from stackledger.capture.session import Options, record
from stackledger.capture.upkeep import Pace

pytestmark = pytest.mark.live

KEEP_NS = 12 * 10**9
# So far apart can a reading of the boot clock and of the wall clock be.
CLOCKS_NS = 2_000_000
SCRIPT = """
// Emits: mark(ts_ns, number int)
tracepoint:syscalls:sys_enter_lseek
/pid == %d && args->offset >= 1000000/
{
  print(("mark", nsecs, args->offset - 1000000));
}
"""


class Marks:
    """Calls lseek with the next number a hundred times a second, and keeps when it did."""

    def __init__(self, path: Path) -> None:
        self.times: list[tuple[int, int]] = []
        self.over = threading.Event()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)

    def run(self) -> None:
        while not self.over.is_set():
            begun = time.time_ns()
            os.lseek(self._file, 1_000_000 + len(self.times), os.SEEK_SET)
            self.times.append((begun, time.time_ns()))
            time.sleep(0.01)
        os.close(self._file)


class Reader:
    """Asks the capture again and again while it is recorded."""

    def __init__(self, where: Path, over: threading.Event) -> None:
        self._where, self._over = where, over
        self.answers: list[tuple[int, int, int]] = []

    def run(self) -> None:
        while not self._over.is_set():
            time.sleep(0.3)
            if not list(self._where.glob("dt=*/*/*/mark/part-*.parquet")):
                continue
            with store.connect(store.find("last", self._where), with_views=False) as connection:
                found = connection.execute(
                    "SELECT count(*), count(DISTINCT number), max(number) - min(number) + 1"
                    " FROM mark HAVING count(*) > 0"
                ).fetchone()
                if found:
                    self.answers.append(found)


@pytest.mark.slow
def test_rows_are_merged_and_dropped_and_each_answer_is_right(tmp_path: Path) -> None:
    script = tmp_path / "mark.bt"
    script.write_text(SCRIPT % os.getpid())
    marks = Marks(tmp_path / "file")
    reader = Reader(tmp_path / "store", marks.over)
    threads = [threading.Thread(target=one.run) for one in (marks, reader)]
    begun: list[int] = []

    def start(progress: object) -> None:
        if getattr(progress, "phase", "") == "recording" and not begun:
            begun.append(time.time_ns())
            for one in threads:
                one.start()

    try:
        outcome = record(
            Options(
                store=tmp_path / "store",
                probes=("block_io.tracepoint",),
                scripts=(from_file(script),),
                duration_s=40,
                pace=Pace(fan_in=4, settled_s=4, kept=Retention(KEEP_NS)),
            ),
            start,
        )
    finally:
        marks.over.set()
        for one in threads:
            one.join()
    told = outcome.manifest
    assert (outcome.exit_code, told.state) == (0, "complete")
    # It kept what it was told to keep, and hardly more.
    assert KEEP_NS <= told.ended_ns - told.kept_from_ns + 10**9 <= KEEP_NS + 4 * 10**9
    capture = store.find("last", tmp_path / "store")
    assert capture.manifest.kept_from_ns == told.kept_from_ns
    with store.connect(capture, with_views=False) as connection:
        numbers = [
            row[0]
            for row in connection.execute("SELECT number FROM mark ORDER BY number").fetchall()
        ]
        seconds = connection.execute("SELECT min(ts_ns) FROM host_cpu").fetchone()
    assert seconds is not None
    assert seconds[0] >= told.kept_from_ns
    # Each number whose call began after that time is there once, and none from before.
    sure = [
        number
        for number, (before, after) in enumerate(marks.times)
        if before >= told.kept_from_ns + CLOCKS_NS and after < told.ended_ns
    ]
    assert len(sure) > 500
    assert set(sure) <= set(numbers)
    assert len(numbers) == len(set(numbers))
    assert min(marks.times[number][1] for number in numbers) >= told.kept_from_ns - CLOCKS_NS
    # The account adds up.
    (account,) = [one for one in told.losses if one.table == "mark"]
    assert account.received == len(numbers) + account.dropped
    assert account.dropped > 1000
    # Some parts were merged, and nothing is left behind.
    names = [path.name for path in outcome.folder.glob("*/part-*.parquet")]
    assert any(name.count("-") == 2 for name in names)
    assert len(list((outcome.folder / "mark").iterdir())) < 10
    assert told.size_bytes == parts.size_bytes(outcome.folder)
    assert not list(outcome.folder.rglob("*.tmp"))
    # Who read meanwhile saw each number once, without a gap.
    assert len(reader.answers) > 20
    assert all(len(set(answer)) == 1 for answer in reader.answers)
