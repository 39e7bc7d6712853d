"""Tiny tables in, reviewed CSV out: `cases/NAME/*.csv`, against `cases/NAME/expected`.

STACKLEDGER_EXPECTED=write writes the files anew; read the difference before you commit it.
"""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING

import pytest

from stackledger.analysis import attribution
from stackledger.analysis.queries import run
from stackledger.catalog import queries
from stackledger.errors import NoSuchCaptureError

if TYPE_CHECKING:
    from pathlib import Path

WRITE = os.environ.get("STACKLEDGER_EXPECTED") == "write"
PAIRS = [
    *[("chain", name) for name in sorted(queries())],
    *[
        (case, name)
        for case in (
            *("parallel", "untraced", "overlapping", "overtaken", "delayed", "afterwards"),
            "unlinked",
        )
        for name in ("requests", "calls", "edges", "ledger", "attribution")
    ],
    *[
        ("block", name)
        for name in ("biosnoop", "biotop", "biolatency", "blkphases", "blkparse", "biodepth")
    ],
    ("untraced", "services"),
    ("unlinked", "services"),
    ("retransmits", "retransmit_share"),
]


def text(columns: list[str], rows: list[tuple[object, ...]]) -> str:
    """Return rows as CSV; a whole number that is a fraction by type is written as one."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([f"{value:.12g}" if isinstance(value, float) else value for value in row])
    return out.getvalue()


@pytest.mark.parametrize("assembled", [True, False], ids=["assembled", "views"])
@pytest.mark.parametrize(("name", "query"), PAIRS)
def test_a_case(case, request, name, query, assembled):
    result = run(case(name, assembled=assembled), query)
    found = text(result.columns, result.rows)
    path: Path = request.path.parent / "cases" / name / "expected" / f"{query}.csv"
    if WRITE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("query", sorted(set(queries()) - {"losses", "overhead"}))
def test_nothing_comes_of_nothing(case, query):
    assert run(case("empty"), query).rows == []


def test_attribution_of_nothing_says_so(case):
    with pytest.raises(NoSuchCaptureError, match="no complete request"):
        attribution.attribute(case("empty"))


def test_the_parts_of_an_attribution_sum_to_its_bands_wall_time(case):
    cases = ("chain", "parallel", "untraced", "overlapping", "overtaken", "delayed", "afterwards")
    for name in cases:
        found = attribution.attribute(case(name))
        for band in (found.slow, found.median):
            assert sum(line.own_ns for line in band.lines) == pytest.approx(band.wall_ns, abs=3)


def test_the_columns_of_the_ledger_sum(case):
    for name in ("chain", "parallel", "untraced", "overlapping", "unlinked"):
        result = run(case(name), "ledger")
        assert result.rows
        for row in result.rows:
            line = dict(zip(result.columns, row, strict=True))
            parts = [value for column, value in line.items() if column.endswith("_ns")]
            assert sum(parts) == 2 * line["wall_ns"], (name, line)
