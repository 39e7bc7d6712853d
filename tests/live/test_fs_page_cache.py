"""page_cache and writeback against the kernel's own counters: equal, page by page."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from stackledger import store
from stackledger.analysis.queries import run
from stackledger.capture.program import Filters
from stackledger.capture.session import Options, record

if TYPE_CHECKING:
    import duckdb

pytestmark = pytest.mark.live

PAGE, SECTOR, PAGES = 4096, 512, 997
LOAD = Path(__file__).with_name("page_cache_load.py")
_OTHER = os.environ.get("STACKLEDGER_OTHER_BPFTRACE", "")
BPFTRACES = [None, tuple(shlex.split(_OTHER))] if _OTHER else [None]

VALUES = ("lookups", "misses", "added", "allocated", "dirtied", "removed", "faults", "maps")
# What a file went through before its step: written page by page, flushed, forgotten.
WRITTEN = {"added": 1, "allocated": 1, "dirtied": 1, "removed": 1}


class Recorded(NamedTuple):
    """What the load did, by step, and the capture of it."""

    steps: dict[str, dict[str, int]]
    sql: duckdb.DuckDBPyConnection
    dev: int
    exact: bool

    def counted(self, name: str, made_pages: int = 0, **where: Any) -> dict[str, int]:
        """Return what a file's pages went through, without the making of the file."""
        step = self.steps[name]
        sums = ", ".join(f"coalesce(sum({value}), 0)::BIGINT" for value in VALUES)
        row = self.sql.execute(
            f"SELECT {sums} FROM page_cache WHERE inode = $1 AND pid = $2"
            " AND dev IN ($3, 0) AND ($4 IS NULL OR comm = $4)",
            [step["inode"], where.get("pid", step["pid"]), self.dev, where.get("comm")],
        ).fetchone()
        assert row is not None
        found = dict(zip(VALUES, row, strict=True))
        found = {key: value - made_pages * WRITTEN.get(key, 0) for key, value in found.items()}
        return {key: value for key, value in found.items() if value}

    def written_back(self, name: str) -> dict[int, int]:
        """Return the pages of a file that each process wrote back."""
        rows = self.sql.execute(
            "SELECT pid, sum(pages)::BIGINT FROM writeback WHERE inode = $1 AND dev = $2"
            " GROUP BY pid",
            [self.steps[name]["inode"], self.dev],
        ).fetchall()
        return dict(rows)


@pytest.fixture(scope="module", params=BPFTRACES, ids=str)
def recorded(
    request: pytest.FixtureRequest, loop_disk: Any, tmp_path_factory: pytest.TempPathFactory
) -> Recorded:
    """Record the load on a file system of its own."""
    home = tmp_path_factory.mktemp("page-cache")
    folder = loop_disk.folder / home.name
    folder.mkdir()
    said = home / "steps.json"
    load = shlex.join([sys.executable, str(LOAD), str(folder), loop_disk.name])
    outcome = record(
        Options(
            store=home,
            probes=("page_cache", "writeback", "file_open"),
            bpftrace=request.param,
            command=("sh", "-c", f"{load} > {shlex.quote(str(said))}"),
        )
    )
    assert outcome.exit_code == 0, outcome.manifest.error
    for loss in outcome.manifest.losses:
        assert (loss.produced, loss.lost, loss.undecodable) == (loss.received, 0, 0)
    exact = outcome.manifest.probes[0].variant == "rawtracepoint"
    sql = store.connect(store.find("last", home))
    return Recorded(json.loads(said.read_text()), sql, loop_disk.dev, exact)


def test_a_cold_read_misses_what_the_disk_reads(recorded: Recorded) -> None:
    step = recorded.steps["cold"]
    found = recorded.counted("cold", PAGES)
    assert found["added"] == PAGES
    assert step["task_read_bytes"] == step["disk_read_sectors"] * SECTOR == PAGES * PAGE
    # Asked for by the first read; the rest was read ahead of the others.
    assert 0 < found["misses"] < PAGES
    # The kernel does not show the pages in front of one that a read has to wait for.
    assert 0.9 * PAGES < found["lookups"] <= PAGES


def test_a_second_read_hits_and_nothing_else(recorded: Recorded) -> None:
    assert recorded.steps["warm"]["task_read_bytes"] == 0
    written = {"added": PAGES, "allocated": PAGES, "dirtied": PAGES}
    assert recorded.counted("warm") == {**written, "lookups": PAGES}


@pytest.mark.parametrize("name", ["odd", "odd_long"])
def test_reads_across_pages_ask_for_each_page_they_touch(recorded: Recorded, name: str) -> None:
    assert recorded.counted(name, 211) == {"lookups": recorded.steps[name]["lookups"]}


def test_sendfile_looks_pages_up(recorded: Recorded) -> None:
    assert recorded.counted("sent", 61) == {"lookups": 61}


def test_random_reads_are_demand_and_no_read_ahead(recorded: Recorded) -> None:
    assert recorded.steps["scattered"]["task_read_bytes"] == 23 * PAGE
    assert recorded.counted("scattered", PAGES) == {"lookups": 23, "misses": 23, "added": 23}


def test_what_nobody_waits_for_is_read_ahead(recorded: Recorded) -> None:
    assert recorded.steps["ahead"]["task_read_bytes"] == 17 * PAGE
    assert recorded.counted("ahead", 17) == {"added": 17}
    assert recorded.counted("ahead_read", 17) == {"added": 17, "lookups": 17}


def test_page_faults_miss_and_hit(recorded: Recorded) -> None:
    assert recorded.steps["mapped"]["task_read_bytes"] == 19 * PAGE
    cold = {"lookups": 19, "misses": 19, "added": 19, "faults": 19}
    assert recorded.counted("mapped", PAGES) == cold
    assert recorded.counted("mapped_again", PAGES) == {"lookups": 19, "maps": 19}


def test_pages_made_dirty_through_a_mapping(recorded: Recorded) -> None:
    assert recorded.steps["mapped_dirty"]["task_write_bytes"] == 13 * PAGE
    found = recorded.counted("mapped_dirty", PAGES)
    assert (found["dirtied"], found["misses"], found["added"]) == (13, 13, 13)
    assert recorded.written_back("mapped_dirty") == {
        recorded.steps["mapped_dirty"]["pid"]: PAGES + 13
    }


def test_direct_io_is_none_of_the_cache(recorded: Recorded) -> None:
    assert recorded.steps["direct"]["disk_read_sectors"] * SECTOR == 53 * PAGE
    assert recorded.counted("direct", 101) == {}


def test_what_is_written_is_dirtied_by_the_writer_and_written_back_by_fsync(
    recorded: Recorded,
) -> None:
    step = recorded.steps["written"]
    assert step["task_write_bytes"] == 499 * PAGE
    assert recorded.counted("written") == {"added": 499, "allocated": 499, "dirtied": 499}
    assert recorded.written_back("written") == {step["pid"]: 499}
    # With the journal, of a new file.
    assert recorded.steps["flushed"]["disk_write_sectors"] * SECTOR >= 499 * PAGE


def test_overwriting(recorded: Recorded) -> None:
    """Blocks that are there already: fdatasync writes them and nothing else."""
    step = recorded.steps["overwritten"]
    found = recorded.counted("overwritten", 307)
    assert recorded.steps["overwritten_flushed"]["disk_write_sectors"] * SECTOR == 101 * PAGE
    # The kernel counts a large folio as a whole, of which one page was written.
    pages = step["task_write_bytes"] // PAGE
    assert pages >= 101
    assert recorded.written_back("overwritten") == {step["pid"]: 307 + pages}
    if recorded.exact:
        assert found["dirtied"] == pages
    else:
        assert 0 < found["dirtied"] <= pages


def test_dirtied_by_whom(recorded: Recorded) -> None:
    step = recorded.steps["shared"]
    pages = step["task_write_bytes"] // PAGE
    one = recorded.counted("shared", comm="cacheload-one")
    two = recorded.counted("shared", pid=step["child"], comm="cacheload-two")
    assert set(one) == set(two) == {"dirtied"}
    assert one["dirtied"] == pages if recorded.exact else 0 < one["dirtied"] <= pages
    assert two["dirtied"] >= 6  # 11 of its 17 pages are dirty already


def test_pages_of_a_deleted_file_are_gone(recorded: Recorded) -> None:
    assert recorded.counted("dropped", 127)["removed"] == 127


def test_a_filter_keeps_others_out(
    tmp_path: Path, loop_disk: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = loop_disk.folder / tmp_path_factory.mktemp("filter").name
    folder.mkdir()
    writes = f"dd if=/dev/zero bs=4k count=7 status=none of={folder}/dd; cp {folder}/dd {folder}/cp"
    outcome = record(
        Options(
            store=tmp_path,
            probes=("page_cache",),
            filters=Filters(comms=("dd",)),
            command=("sh", "-c", writes),
        )
    )
    assert outcome.exit_code == 0
    sql = store.connect(store.find("last", tmp_path))
    assert sql.execute(
        "SELECT comm, sum(dirtied)::BIGINT FROM page_cache WHERE dev = $1 GROUP BY comm",
        [loop_disk.dev],
    ).fetchall() == [("dd", 7)]
    assert sql.execute("SELECT DISTINCT comm FROM page_cache").fetchall() == [("dd",)]


def test_the_queries_say_so_by_path(recorded: Recorded) -> None:
    result = run(recorded.sql, "cachefiles")
    rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    mine = {
        Path(row["path"]).name: row for row in rows if row["path"] and row["dev"] == recorded.dev
    }
    cold, warm = mine["cold"], mine["warm"]
    assert (cold["hits"], cold["misses"], cold["hit_ratio"]) == (0, PAGES, 0)
    assert cold["path"].startswith("/")
    assert cold["demand_misses"] + cold["read_ahead"] == PAGES
    assert (warm["hits"], warm["misses"], warm["hit_ratio"]) == (PAGES, 0, 1)
    (total,) = recorded.sql.execute("SELECT sum(lookups) FROM page_cache").fetchall()[0]
    seconds = run(recorded.sql, "cachestat")
    assert 0 < sum(row[seconds.columns.index("hits")] for row in seconds.rows) <= total
    written = run(recorded.sql, "writeback")
    of_file = [
        row[written.columns.index("written_bytes")]
        for row in written.rows
        if str(row[written.columns.index("file")]).endswith("/written")
    ]
    assert sum(of_file) == 499 * PAGE
