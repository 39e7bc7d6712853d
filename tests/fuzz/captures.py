"""A stranger's capture: its manifest, its stored predictions, its Parquet parts."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from stackledger import manifest as manifests
from stackledger.analysis import describe
from stackledger.analysis import prediction as predictions
from stackledger.errors import StackledgerError
from stackledger.resources import folder
from stackledger.store import Capture, connect

_PLACE = tempfile.TemporaryDirectory()
_FOLDER = Path(_PLACE.name)
_PART = _FOLDER / "whole" / "host_disk" / "part-000001.parquet"
_PART.parent.mkdir(parents=True)


def manifest(data: bytes) -> None:
    """A capture.json: a manifest whose facts can be told, or refused."""
    (_FOLDER / manifests.FILE_NAME).write_bytes(data)
    try:
        capture = Capture(_FOLDER, manifests.load(_FOLDER))
        assert capture.tables
        assert isinstance(capture.condition, str)
        assert describe.facts(capture)
        describe.probes(capture)
    except StackledgerError:
        return


def prediction(data: bytes) -> None:
    """A stored prediction: read, or refused."""
    path = _FOLDER / "prediction.json"
    path.write_bytes(data)
    try:
        predictions.load(path)
    except StackledgerError:
        return


def parquet(data: bytes) -> None:
    """A Parquet part: its rows in the registry's columns, or refused."""
    _PART.write_bytes(data)
    import duckdb

    try:
        with connect(_WHOLE, with_views=False) as connection:
            connection.execute("SELECT hash(COLUMNS(*)) FROM host_disk").fetchall()
    except (StackledgerError, duckdb.Error):
        return


def _whole() -> Capture:
    told = json.loads((folder("recordings") / "demo" / manifests.FILE_NAME).read_text())
    (_FOLDER / "whole" / manifests.FILE_NAME).write_text(json.dumps(told))
    return Capture(_FOLDER / "whole", manifests.load(_FOLDER / "whole"))


_WHOLE = _whole()
