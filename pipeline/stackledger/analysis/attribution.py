"""The ledger of the transactions around a percentile, beside the median's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.analysis.needs import views_of
from stackledger.analysis.queries import get, run
from stackledger.errors import NoSuchCaptureError, UsageError, nearest

if TYPE_CHECKING:
    import duckdb

PARTS = (
    "cpu_ns",
    "runq_ns",
    "disk_ns",
    "lock_ns",
    "sleep_ns",
    "queue_ns",
    "net_ns",
    "other_ns",
    "untraced_ns",
    "unexplained_ns",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One layer and service of a band; all times are means per transaction."""

    layer: str
    service: str
    depth: int
    requests: float
    own_ns: float
    parts: dict[str, float]


@dataclass(frozen=True, slots=True)
class Band:
    """The transactions around one percentile: `parts` of all lines sum to `wall_ns`."""

    roots: int
    wall_ns: float
    from_ns: int
    to_ns: int
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Attribution:
    """Where the time of slow transactions goes, and of the median ones."""

    endpoint: str | None
    percentile: float
    transactions: int
    slow: Band
    median: Band

    @property
    def largest(self) -> tuple[Line, str]:
        """The line and the part that hold most of the slow band's time."""
        pairs = ((line, part) for line in self.slow.lines for part in PARTS)
        return max(pairs, key=lambda pair: pair[0].parts[pair[1]])


def attribute(
    connection: duckdb.DuckDBPyConnection,
    *,
    endpoint: str | None = None,
    percentile: float = 99.0,
) -> Attribution:
    """Return the ledger of the band around `percentile`, over one endpoint or all.

    Raises UsageError for an unknown endpoint or percentile, NoSuchCaptureError
    where the capture holds no complete transaction.
    """
    if not 0 < percentile < 100:
        raise UsageError("the percentile lies between 0 and 100", percentile)
    given = {"endpoint": endpoint, "percentile": percentile}
    result = run(connection, "attribution", given)
    if not result.rows:
        known = endpoints(connection)
        if endpoint is not None and known:
            hint = nearest(endpoint, known) or f"seen: {', '.join(known[:5])}"
            raise UsageError("no such endpoint", endpoint, hint=hint)
        raise NoSuchCaptureError(
            "no complete request in this capture",
            hint="was there traffic? stackledger show lists the tables",
        )
    rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    slow = _band([row for row in rows if row["band"] == "slow"])
    median = _band([row for row in rows if row["band"] == "median"])
    return Attribution(
        endpoint=endpoint,
        percentile=percentile,
        transactions=int(rows[0]["transactions"]),
        slow=slow,
        median=median,
    )


def reads() -> set[str]:
    """Return the views that it reads, for `assemble`."""
    return views_of([get("attribution").text()])


def endpoints(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the endpoints of roots, the most frequent first."""
    rows = connection.execute(
        "SELECT endpoint FROM roots GROUP BY endpoint ORDER BY count(*) DESC, endpoint"
    ).fetchall()
    return [row[0] for row in rows]


def _band(rows: list[dict[str, float]]) -> Band:
    lines = []
    for row in rows:
        parts = {name: float(row[name]) for name in PARTS}
        lines.append(
            Line(
                layer=str(row["layer"]),
                service=str(row["service"]),
                depth=int(row["depth"]),
                requests=float(row["requests"]),
                own_ns=sum(parts.values()),
                parts=parts,
            )
        )
    first = rows[0]
    return Band(
        roots=int(first["roots"]),
        wall_ns=float(first["wall_ns"]),
        from_ns=int(first["from_ns"]),
        to_ns=int(first["to_ns"]),
        lines=lines,
    )


def as_rows(attribution: Attribution) -> tuple[list[str], list[tuple[object, ...]]]:
    """Return one row per band, layer and service: means per transaction in ns."""
    columns = ["band", "transactions", "layer", "service", "depth", "requests", "own_ns", *PARTS]
    rows: list[tuple[object, ...]] = []
    for name, band in (("slow", attribution.slow), ("median", attribution.median)):
        rows += [
            (
                name,
                band.roots,
                line.layer,
                line.service,
                line.depth,
                line.requests,
                line.own_ns,
                *(line.parts[part] for part in PARTS),
            )
            for line in band.lines
        ]
    return columns, rows
