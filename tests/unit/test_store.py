"""A connection to a capture, and what it needs around it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

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
