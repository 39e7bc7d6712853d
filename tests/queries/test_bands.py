"""The transactions of the bands alone give the same attribution as the whole capture."""

from __future__ import annotations

import random
from dataclasses import asdict

import pytest

from stackledger.analysis.assembly import Bands, assemble
from stackledger.analysis.attribution import attribute
from stackledger.errors import UsageError

CASES = ("chain", "parallel", "untraced", "overlapping", "overtaken", "afterwards", "unlinked")
_ROOTS = "SELECT sock, recv_ts_ns, ts_ns, endpoint, wall_ns, complete FROM {} ORDER BY ALL"


def _many(tables):
    """Return a case's requests 31 times over, a second apart, some slower than others."""
    many = {name: rows for name, rows in tables.items() if name in ("connection", "process")}
    times = ("ts_ns", "recv_ts_ns", "owner_recv_ts_ns")
    for copy in range(31):
        for name in ("request", "call"):
            for row in tables.get(name, ()):
                other = dict(row)
                for column in times:
                    if other.get(column):
                        other[column] = int(str(other[column])) + 1_000_000_000 * copy
                other["wall_ns"] = int(str(row["wall_ns"])) * (100 + copy * 7 % 23) // 100
                many.setdefault(name, []).append(other)
    for name in ("request", "call"):
        random.Random(copy).shuffle(many.get(name, []))
    return many


def _alike(found, expected):
    """Compare two attributions: whole numbers exactly, sums of fractions up to their order."""
    assert found["transactions"] == expected["transactions"]
    for name in ("slow", "median"):
        one, other = found[name], expected[name]
        for key in ("roots", "wall_ns", "from_ns", "to_ns"):
            assert one[key] == other[key]
        assert len(one["lines"]) == len(other["lines"])
        for line, twin in zip(one["lines"], other["lines"], strict=True):
            assert line.pop("parts") == pytest.approx(twin.pop("parts"), rel=1e-12, abs=1e-6)
            assert line.pop("own_ns") == pytest.approx(twin.pop("own_ns"), rel=1e-12, abs=1e-6)
            assert line == twin


@pytest.mark.parametrize("name", CASES)
def test_the_bands_alone_give_the_same_attribution(capture, case_rows, name):
    rows = _many(case_rows(name))
    whole = capture(**rows)
    roots = whole.execute(_ROOTS.format("roots")).fetchall()
    without = "(FROM requests WHERE parent_sock IS NULL)"
    assert roots == whole.execute(_ROOTS.format(without)).fetchall()
    assert len(roots) >= 31
    alone = capture(assembled=False, **rows)
    assemble(alone, bands=Bands(None, 90))
    assert alone.execute(_ROOTS.format("roots")).fetchall() == roots
    everything, kept = (
        connection.execute("SELECT count(*) FROM requests").fetchone()[0]
        for connection in (whole, alone)
    )
    assert 0 < kept < everything
    _alike(*(asdict(attribute(connection, percentile=90)) for connection in (alone, whole)))


def test_an_endpoint_of_the_capture_is_told_where_the_one_asked_for_is_not_in_it(
    capture, case_rows
):
    connection = capture(assembled=False, **case_rows("chain"))
    assemble(connection, bands=Bands("GET /nowhere", 99))
    with pytest.raises(UsageError, match="no such endpoint") as raised:
        attribute(connection, endpoint="GET /nowhere")
    assert "GET /orders/{id}" in str(raised.value.hint)
