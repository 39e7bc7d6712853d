"""What was linked when a capture ended says the same as working it out anew."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from tests.queries.conftest import manifest, rows_of
from tests.queries.test_bands import CASES, _alike, _many

from stackledger.analysis import linking
from stackledger.analysis.assembly import Bands, assemble
from stackledger.analysis.attribution import attribute
from stackledger.analysis.costmodel import load_model
from stackledger.analysis.costs import cost_table
from stackledger.analysis.diagnose import diagnose
from stackledger.analysis.dimensions import dimension
from stackledger.analysis.queries import run
from stackledger.analysis.selection import Selection, narrow
from stackledger.analysis.timerange import TimeRange
from stackledger.errors import StackledgerError
from stackledger.manifest import FILE_NAME
from stackledger.report import html
from stackledger.schema import TABLES
from stackledger.store import Capture, connect

VIEWS = (
    "requests",
    "placed",
    "request_caller",
    "tree",
    "cost_tree",
    "roots",
    "linked",
    "worked",
    "untraced",
    "request_io",
    "given_io",
)


@pytest.fixture
def on_disk(capture, tmp_path):
    """Give a function that writes a case's rows, many times over, as a capture's parts."""

    def written(name):
        folder = tmp_path / name
        told = manifest()
        told.ended_ns = 32 * 10**9
        connection = capture(assembled=False, **_many(rows_of(name)))
        for table in TABLES:
            (folder / table).mkdir(parents=True)
            rows = connection.table(table).to_arrow_table()
            pq.write_table(rows, folder / table / "part-000001.parquet")
        (folder / FILE_NAME).write_bytes(msgspec.json.encode(told))
        return Capture(folder, told)

    return written


def _rows(connection, name):
    return connection.execute(f'FROM "{name}" ORDER BY ALL').fetchall()


def _opened(capture, **asked):
    connection = connect(capture, with_views=False)
    assemble(connection, **asked)
    return connection


@pytest.mark.parametrize("name", CASES)
def test_views_of_links_hold_the_rows_that_are_worked_out(on_disk, name):
    capture = on_disk(name)
    anew = _opened(capture)
    assert not linking.use(anew)
    assert linking.keep(capture, enough=0).is_dir()
    kept = _opened(capture)
    assert linking.use(kept)
    for view in VIEWS:
        columns = kept.execute(f'DESCRIBE FROM "{view}"').fetchall()
        assert columns == anew.execute(f'DESCRIBE FROM "{view}"').fetchall(), view
        assert _rows(kept, view) == _rows(anew, view), view
    assert len(_rows(kept, "requests")) >= 31
    for query in ("ledger", "endpoints", "slowest", "services", "requests", "calls", "edges"):
        assert run(kept, query).rows == run(anew, query).rows, query
    bands = _opened(capture, bands=Bands(None, 90))
    found, expected = (attribute(one, percentile=90) for one in (bands, anew))
    _alike(asdict(found), asdict(expected))


@pytest.mark.parametrize("by", ["endpoint", "service", "statement", "(GET|POST)"])
def test_costs_by_links_are_those_that_are_worked_out(on_disk, by):
    capture = on_disk("parallel")
    model = load_model("aws-us-east-1")

    def priced():
        with connect(capture, with_views=False) as connection:
            found = asdict(cost_table(connection, model, by=dimension(by, connection)))
            return {key: found[key] for key in ("rows", "transactions", "bill_usd", "resources")}

    expected = priced()
    linking.keep(capture, enough=0)
    assert priced() == expected
    assert expected["transactions"]


def test_a_part_of_a_linked_capture_is_worked_out(on_disk):
    """A request whose caller lies before the range is a root of it, whatever it was linked to."""
    capture = on_disk("chain")
    selection = Selection(TimeRange(begin="+5s", until="+9s"))

    def narrowed():
        with connect(capture, with_views=False) as connection:
            narrow(connection, selection, TABLES.values(), ledger=True)
            assemble(connection)
            return {view: _rows(connection, view) for view in VIEWS}

    expected = narrowed()
    linking.keep(capture, enough=0)
    assert narrowed() == expected
    assert expected["roots"]


def test_a_diagnosis_and_a_page_read_links(on_disk):
    capture = on_disk("chain")
    expected = msgspec.json.encode(diagnose(capture))
    page = html.render(_opened(capture), attribution=attribute(_opened(capture)))
    linking.keep(capture, enough=0)
    assert msgspec.json.encode(diagnose(capture)) == expected
    assert html.render(_opened(capture), attribution=attribute(_opened(capture))) == page


def test_layer_rules_are_those_of_the_reader(on_disk, tmp_path):
    capture = on_disk("chain")
    linking.keep(capture, enough=0)
    rules = tmp_path / "layers.csv"
    rules.write_text("field,pattern,layer\nprogram,*,cache\n")
    with connect(capture, layers=rules, with_views=False) as connection:
        assemble(connection)
        found = connection.execute("SELECT DISTINCT layer FROM requests").fetchall()
    assert found == [("cache",)]


def test_few_requests_are_not_linked(on_disk):
    capture = on_disk("chain")
    assert linking.keep(capture) is None
    assert not [path for path in capture.folder.iterdir() if "linked" in path.name]


def test_links_of_another_version_are_not_read_and_are_replaced(on_disk):
    capture = on_disk("chain")
    links = linking.keep(capture, enough=0)
    other = links.rename(links.with_name("linked-0123456789abcdef"))
    assert not linking.use(_opened(capture))
    assert linking.keep(capture, enough=0) == links
    assert not other.exists()


def test_half_of_the_links_is_none(on_disk):
    capture = on_disk("chain")
    links = linking.keep(capture, enough=0)
    (links / "untraced_call.parquet").unlink()
    assert not linking.use(_opened(capture))
    assert len(_rows(_opened(capture), "requests")) >= 31


@pytest.mark.skipif(not shutil.which("mount") or os.geteuid() != 0, reason="needs root")
def test_a_full_disk_costs_the_links_alone(on_disk, tmp_path):
    capture = on_disk("chain")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", small], check=True)
    try:
        shutil.copytree(capture.folder, small / "capture")
        with pytest.raises(OSError, match="No space left"):
            (small / "filler").write_bytes(bytes(4 << 20))
        full = Capture(small / "capture", capture.manifest)
        before = sorted(path.name for path in full.folder.iterdir())
        with pytest.raises(StackledgerError, match="links were not kept"):
            linking.keep(full, enough=0)
        assert sorted(path.name for path in full.folder.iterdir()) == before
    finally:
        subprocess.run(["umount", small], check=True)


def test_too_little_memory_costs_the_links_alone(on_disk, monkeypatch):
    capture = on_disk("chain")
    monkeypatch.setattr(linking, "_MEMORY", "1MB")
    before = sorted(path.name for path in capture.folder.iterdir())
    with pytest.raises(StackledgerError, match="links were not kept"):
        linking.keep(capture, enough=0)
    assert sorted(path.name for path in capture.folder.iterdir()) == before


def test_a_folder_that_cannot_be_written_is_said(on_disk, monkeypatch):
    capture = on_disk("chain")

    def refuse(self, *args, **more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StackledgerError, match="Permission denied"):
        linking.keep(capture, enough=0)
