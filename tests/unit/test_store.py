"""A connection to a capture, and what it needs around it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pytest

from stackledger import store


def test_what_does_not_fit_into_memory_goes_to_the_temporary_folder(
    replayed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current folder stays as it is, and nothing is left of it."""
    here, spill = tmp_path / "here", tmp_path / "spill"
    for folder in (here, spill):
        folder.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(spill))
    with store.connect(store.find("last", replayed.store)) as connection:
        connection.execute("SET memory_limit = '64MB'")
        connection.execute(
            "CREATE TEMP TABLE wide AS SELECT i, md5(i::VARCHAR) AS t FROM range(2000000) AS r(i)"
        )
        assert list(spill.iterdir()) != []
        assert list(here.iterdir()) == []
    assert list(spill.iterdir()) == []


def test_only_the_first_part_of_a_table_is_opened_before_it_is_read(
    replayed: Any, tmp_path: Path
) -> None:
    """An hour has thousands of parts, and most questions are about one table."""
    shutil.copytree(replayed.store, tmp_path / "store")
    capture = store.find("last", tmp_path / "store")
    first = Path(capture.files("request")[0])
    (first.parent / "part-999999.parquet").write_bytes(b"no Parquet")
    with store.connect(capture) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM block_io").fetchone() == (True,)
        with pytest.raises(duckdb.Error, match="part-999999"):
            connection.execute("SELECT max(wall_ns) FROM request").fetchone()
