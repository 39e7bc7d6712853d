"""Compares two sides: every figure's change, and whether chance alone would have made it.

Each side's time is cut into 30 blocks, which are drawn again with replacement, both
sides apart (block bootstrap: B. Efron, R. Tibshirani, An Introduction to the
Bootstrap, chapter 8). The 2.5th and 97.5th percentile of the changes are the
interval; as few blocks vary too little among themselves, it is widened by
Student's t over the normal quantile, and by sqrt(B / (B - 1)).
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

import duckdb

from stackledger import resources
from stackledger.analysis.diff.answer import Change, Difference, enough
from stackledger.errors import NoSuchCaptureError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stackledger.analysis.diff.sides import Sampled

BLOCKS = 30
DRAWS = 200
# With fewer, nothing can be said of how much they vary.
_FEWEST = 5
_Z = 1.959964
_SIDES = ("before", "after")


def compare(
    before: Sampled, after: Sampled, endpoint: str | None, others: Iterable[Change] = ()
) -> Difference:
    """Return what changed; `others` are figures that were compared elsewhere.

    Raises UsageError for an endpoint that neither side has, NoSuchCaptureError
    where neither side holds anything.
    """
    _check(before, after, endpoint)
    with duckdb.connect() as connection:
        for name in ("sample", "wall", "exact"):
            _unite(connection, name, getattr(before, name), getattr(after, name))
        _draw(connection)
        text = (resources.folder("queries") / "diff" / "compare.sql").read_text(encoding="utf-8")
        found = connection.execute(text).fetchall()
    changes = [_change(before, after, *row) for row in found]
    return Difference(
        before=before.side,
        after=after.side,
        endpoint=endpoint,
        changes=(*changes, *others),
    )


def _check(before: Sampled, after: Sampled, endpoint: str | None) -> None:
    if endpoint is not None and not (before.requests or after.requests):
        known = sorted({*before.known, *after.known})
        hint = nearest(endpoint, known) or (known and f"seen: {', '.join(known[:5])}") or None
        raise UsageError("no such endpoint on either side", endpoint, hint=hint)
    if not len(before.sample) and not len(after.sample):
        raise NoSuchCaptureError("neither side holds requests or the host's counters")


def _unite(connection: duckdb.DuckDBPyConnection, name: str, before: Any, after: Any) -> None:
    connection.register("told_before", before)
    connection.register("told_after", after)
    connection.execute(
        f"CREATE TABLE {name} AS SELECT 'before' AS side, * FROM told_before"  # noqa: S608 - ours
        " UNION ALL SELECT 'after', * FROM told_after"
    )


def _draw(connection: duckdb.DuckDBPyConnection) -> None:
    """Write the table `draws`: how often each block was drawn, by side and draw."""
    chance = random.Random(1)  # noqa: S311 - repeatable on purpose
    size = len(_SIDES) * DRAWS * BLOCKS
    picked = chance.choices(range(BLOCKS), k=size)
    connection.execute(
        """
        CREATE TABLE draws AS
        SELECT
          CASE WHEN i < $half THEN 'before' ELSE 'after' END AS side,
          (i % $half // $blocks)::SMALLINT AS draw,
          block::TINYINT AS block,
          count(*) AS weight
        FROM (SELECT unnest($picked) AS block, unnest(range($size)) AS i)
        GROUP BY ALL
        """,
        {"half": size // 2, "blocks": BLOCKS, "picked": picked, "size": size},
    )


def _change(
    before: Sampled,
    after: Sampled,
    kind: str,
    subject: str | None,
    name: str,
    unit: str,
    was: float | None,
    now: float | None,
    low: float | None,
    high: float | None,
    blocks: int,
) -> Change:
    verdict = "noise"
    if was is None or now is None:
        verdict = "new" if was is None else "gone"
        low = high = None
    elif low is None or high is None or blocks < _FEWEST:
        verdict = "few"
        low = high = None
    else:
        middle = now - was
        factor = widening(blocks)
        low = middle - max(0.0, middle - low) * factor
        high = middle + max(0.0, high - middle) * factor
        if kind in ("latency", "endpoint") and not _enough(before, after, subject, name):
            verdict = "few"
        elif low > 0 or high < 0:
            verdict = "more" if low > 0 else "less"
    return Change(kind, subject, name, unit, was, now, low, high, verdict)


def _enough(before: Sampled, after: Sampled, subject: str | None, name: str) -> bool:
    for side in (before, after):
        requests = side.side.transactions if subject is None else side.requests.get(subject, 0)
        if not enough(name, requests):
            return False
    return True


def widening(blocks: int) -> float:
    """Return by how much an interval from so few blocks is too narrow.

    Student's t by its expansion in 1 / df (Abramowitz and Stegun 26.7.5): within
    2 % from 4 degrees of freedom on.
    """
    df = blocks - 1
    z = _Z
    t = z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)
    return t / z * math.sqrt(blocks / df)
