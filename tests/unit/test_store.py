"""A connection to a capture, and what it needs around it."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
import types
from pathlib import Path
from typing import Any

import duckdb
import pytest

from stackledger import place, store


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


@pytest.mark.parametrize(
    ("uid", "home", "expected"),
    [("1234", "asker", "asker"), ("1234", "gone", "own"), ("x", "asker", "own"), ("", "", "own")],
)
def test_under_sudo_the_store_is_the_askers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: str, home: str, expected: str
) -> None:
    for name in ("asker", "own"):
        (tmp_path / name).mkdir()
    for name in (place.STORE_VARIABLE, "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "own"))
    monkeypatch.setenv("SUDO_UID", uid)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    entry = types.SimpleNamespace(pw_dir=str(tmp_path / home))
    monkeypatch.setattr(pwd, "getpwuid", {1234: entry}.__getitem__)
    assert place.default_store() == tmp_path / expected / ".local" / "share" / "stackledger"
