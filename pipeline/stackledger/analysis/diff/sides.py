"""One side of a comparison: `CAPTURE` or `CAPTURE@FROM..UNTIL`, and what is drawn from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger import resources
from stackledger.analysis.attribution import endpoints
from stackledger.analysis.diff.answer import Side
from stackledger.analysis.timerange import TimeRange
from stackledger.errors import UsageError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from stackledger.store import Capture

_WINDOW = re.compile(r"(?P<word>.+)@(?P<begin>[^@]*?)\.\.(?P<until>[^@]*)")

# The percentiles themselves, not those of the histogram.
_EXACT = """
WITH chosen AS (
  SELECT endpoint, wall_ns FROM roots
  WHERE complete AND ($endpoint IS NULL OR endpoint = $endpoint)
), figures AS (
  SELECT
    CASE WHEN grouping(endpoint) = 0 THEN endpoint END AS subject,
    quantile_cont(wall_ns, 0.5) AS p50,
    quantile_cont(wall_ns, 0.95) AS p95,
    quantile_cont(wall_ns, 0.99) AS p99
  FROM chosen
  GROUP BY GROUPING SETS ((endpoint), ())
  HAVING count(*) > 0
)
UNPIVOT figures ON p50, p95, p99 INTO NAME name VALUE value
"""
_COUNTED = """
SELECT endpoint AS subject, count(*) AS n
FROM roots
WHERE complete AND ($endpoint IS NULL OR endpoint = $endpoint)
GROUP BY endpoint
"""


@dataclass(frozen=True, slots=True)
class Sampled:
    """A side with its figures' samples: the tables that `queries/diff` return."""

    side: Side
    sample: pa.Table
    wall: pa.Table
    exact: pa.Table
    requests: dict[str, int]
    known: tuple[str, ...]


def parse(word: str) -> tuple[str, TimeRange]:
    """Return the capture's word and the part of its time; raises UsageError."""
    found = _WINDOW.fullmatch(word)
    if found is None:
        if "@" in word and not word.startswith("/"):
            raise UsageError("not a window", word, hint="CAPTURE@FROM..UNTIL: last@+10s..+20s")
        return word, TimeRange()
    return found["word"], TimeRange(found["begin"] or None, found["until"] or None)


def sample(
    connection: duckdb.DuckDBPyConnection, capture: Capture, word: str, endpoint: str | None
) -> Sampled:
    """Return one side of a comparison; the connection is assembled, and narrowed to it."""
    given = {"endpoint": endpoint}
    folder = resources.folder("queries") / "diff"
    texts = {
        name: (folder / f"{name}.sql").read_text(encoding="utf-8")
        for name in ("transactions", "host", "walls")
    }
    requests = dict(connection.execute(_COUNTED, given).fetchall())
    taken = connection.sql(texts["transactions"], params=given).to_arrow_table()
    host = connection.sql(texts["host"]).to_arrow_table()
    both = connection.from_arrow(taken).union(connection.from_arrow(host)).to_arrow_table()
    ((from_ts_ns, dur_ns),) = connection.execute("SELECT from_ts_ns, dur_ns FROM span").fetchall()
    told = capture.manifest
    lost = sum((one.lost or 0) + one.undecodable for one in told.losses)
    received = sum(one.received for one in told.losses)
    side = Side(
        word=word,
        capture=told.id,
        host=told.host,
        schema_version=told.schema_version,
        probes=tuple(sorted(run.name for run in told.probes if run.state != "unavailable")),
        from_ts_ns=from_ts_ns,
        dur_ns=dur_ns,
        transactions=sum(requests.values()),
        lost_share=lost / (lost + received) if lost else 0.0,
    )
    return Sampled(
        side=side,
        sample=both,
        wall=connection.sql(texts["walls"], params=given).to_arrow_table(),
        exact=connection.sql(_EXACT, params=given).to_arrow_table(),
        requests=requests,
        known=tuple(endpoints(connection)),
    )
