"""The cost table as a CSV for spreadsheets: one line per endpoint, layer, service and part."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import TYPE_CHECKING

from stackledger.export.cells import number
from stackledger.untrusted import traced

if TYPE_CHECKING:
    from stackledger.analysis.costresult import CostResult, CostRow

COLUMNS = (
    "kind",
    "endpoint",
    "layer",
    "service",
    "part",
    "resource",
    "requests",
    "cost_in_window",
    "cost_per_transaction",
    "share_of_endpoint",
    "share_of_bill",
    "currency",
    "model",
    "window_seconds",
)
_EACH = Decimal("1e-18")
_SHARE = Decimal("0.000001")


def as_csv(result: CostResult) -> bytes:
    """Return the table in UTF-8 with a byte-order mark, without which Excel takes it for Latin.

    `cost_in_window` sums to the bill. What has no endpoint (idle, unattributed) has
    empty cells there; a request whose endpoint nobody knows is "(unknown)".
    """
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    requests = {one.endpoint: one.requests for one in result.transactions}
    totals = {one.endpoint: one.total_usd for one in result.transactions}
    seconds = number(Decimal(result.window_ns).scaleb(-9))
    for row in result.rows:
        known = row.endpoint is not None
        count = requests.get(row.endpoint) if row.endpoint is not None else None
        whole = totals.get(row.endpoint) if row.endpoint is not None else None
        writer.writerow(
            [
                row.kind,
                (traced(row.endpoint) or "(unknown)") if known else None,
                traced(row.layer),
                traced(row.service),
                row.part,
                row.resource,
                count,
                number(row.cost_usd),
                number((row.cost_usd / count).quantize(_EACH)) if count else None,
                _share(row, whole),
                _share(row, result.bill_usd),
                result.currency,
                traced(result.model),
                seconds,
            ]
        )
    return written.getvalue().encode("utf-8-sig", "backslashreplace")


def _share(row: CostRow, whole: Decimal | None) -> str | None:
    return number((row.cost_usd / whole).quantize(_SHARE)) if whole else None
