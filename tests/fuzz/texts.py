"""What people write and pass on: probes, scripts, cost models, layer rules, prices, FOCUS files."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from stackledger import catalog, layers
from stackledger.analysis import costmodel, pricecatalog
from stackledger.capture import script as scripts
from stackledger.errors import StackledgerError
from stackledger.export import focusfile, focusrules

_PLACE = tempfile.TemporaryDirectory()
_FOLDER = Path(_PLACE.name)
_CATALOG = pricecatalog.load_catalog()


def _written(name: str, data: bytes) -> Path:
    path = _FOLDER / name
    path.write_bytes(data)
    return path


def probe(data: bytes) -> None:
    """A probe's header and a query's: read, or refused with file and line."""
    for name, read in (("fuzzed.bt", catalog.read_probe), ("fuzzed.sql", catalog.read_query)):
        with suppress(StackledgerError):
            assert read(_written(name, data)).name == "fuzzed"


def script(data: bytes) -> None:
    """A user's own bpftrace: read, or refused."""
    try:
        read, _ = scripts.from_file(_written("fuzzed.bt", data))
    except StackledgerError:
        return
    for emitted in read.emits:
        assert emitted.table.isidentifier()
        assert all(column.isidentifier() for column in emitted.columns)


def model(data: bytes) -> None:
    """A cost model: priced, or refused."""
    path = _written("fuzzed.toml", data)
    try:
        found = costmodel.load_model(path, catalog=_CATALOG)
    except StackledgerError:
        return
    assert found.path == path


def layer_rules(data: bytes) -> None:
    """Layer rules: each of a known field, or refused."""
    path = _written("layers.csv", data)
    try:
        found = layers.rules(path)
    except StackledgerError:
        return
    assert all(field in layers.FIELDS for field, _, _ in found)


def prices(data: bytes) -> None:
    """A price list: amounts of 0 or more, or refused."""
    path = _written("prices/fuzzed.csv", data)
    try:
        found = pricecatalog.load_catalog(path.parent)
    except StackledgerError:
        return
    assert all(one.price.is_finite() and one.price >= 0 for one in found.prices)


def focus(data: bytes) -> None:
    """A FOCUS file, CSV or Parquet: its violations, or refused."""
    try:
        columns, rows = focusfile.read(_written("focus", data))
    except StackledgerError:
        return
    assert all(isinstance(one, str) for one in focusrules.check(columns, rows))


(_FOLDER / "prices").mkdir()
