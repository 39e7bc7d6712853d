"""A cost table as rows: for spreadsheets and programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stackledger.analysis.costlines import PARTS

if TYPE_CHECKING:
    from stackledger.analysis.costresult import CostResult

ROW_COLUMNS = (
    "kind",
    "endpoint",
    "layer",
    "service",
    "part",
    "resource",
    "requests",
    "cost_usd",
    "cost_per_request_usd",
)
TRANSACTION_COLUMNS = (
    "endpoint",
    "requests",
    "marginal_usd",
    "direct_usd",
    "loaded_usd",
    "loaded_high_usd",
    *(f"{part}_usd" for part in PARTS),
    *(f"{part}_share" for part in PARTS),
    "total_usd",
    "loaded_low_usd",
    "statistical_low_usd",
    "statistical_high_usd",
)


def row_columns(result: CostResult) -> tuple[str, ...]:
    """Return the names of the rows' columns: the subject's is called as the dimension."""
    others = [name for name in ROW_COLUMNS if name not in ("endpoint", result.by)]
    return (others[0], result.by, *others[1:])


def as_rows(result: CostResult) -> list[dict[str, Any]]:
    """Return every line of the bill, by `row_columns`; `cost_usd` sums to the bill."""
    columns = row_columns(result)
    requests = {row.endpoint: row.requests for row in result.transactions}
    rows = []
    for row in result.rows:
        number = None if row.endpoint is None else requests[row.endpoint]
        each = None if number is None else row.cost_usd / number
        values = {
            "kind": row.kind,
            "layer": row.layer,
            "service": row.service,
            "part": row.part,
            "resource": row.resource,
            "requests": number,
            "cost_usd": row.cost_usd,
            "cost_per_request_usd": each,
            result.by: row.endpoint,
        }
        rows.append({name: values[name] for name in columns})
    return rows


def as_transactions(result: CostResult) -> list[dict[str, Any]]:
    """Return one row per subject, by TRANSACTION_COLUMNS: dollars per transaction."""
    rows = []
    for row in result.transactions:
        values: dict[str, Any] = {name: getattr(row, name, None) for name in TRANSACTION_COLUMNS}
        values |= {f"{part}_usd": row.parts[part] for part in PARTS}
        values |= {f"{part}_share": row.shares[part] for part in PARTS}
        rows.append(values)
    return rows
