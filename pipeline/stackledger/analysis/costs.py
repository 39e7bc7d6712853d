"""What a transaction costs: the bill of a capture's window, split over its requests.

    direct_i = C * U_i / (q * T)   for every provisioned resource
    c_i      = (direct_i + idle_i + shared_i + usage_i) / N_i
    sum(c_i * N_i) + idle not shared + tracer + unattributed = bill of the window

The sum holds to 1e-12 dollars in the totals of the window; a figure per
transaction is rounded down to 1e-18.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stackledger.analysis import allocation
from stackledger.analysis.bill import REFERENCE_SHAPES, make_bill
from stackledger.analysis.billing import Bill, Window
from stackledger.analysis.costinputs import (
    disk_ios,
    seen_disks,
    unattributed_use,
    windows_of,
)
from stackledger.analysis.costlines import PARTS
from stackledger.analysis.costresult import (
    CostResult,
    CostRow,
    PoolRow,
    ResourceBalance,
    TransactionCost,
)
from stackledger.analysis.demand import TABLES, gather
from stackledger.analysis.dimensions import Dimension
from stackledger.analysis.intervals import BLOCKS, FEWEST
from stackledger.analysis.networks import classify

if TYPE_CHECKING:
    import duckdb

    from stackledger.analysis.costmodel import CostModel

_METHOD = (
    "memory's part of a node's price: least squares over "
    + ", ".join(sku.rsplit("/", 1)[1] for sku in REFERENCE_SHAPES),
    "memory use is not measured: memory is idle, shared out only by idle = even",
    "a volume's capacity belongs to its layers, by the device time of their I/O",
    (
        "write-back goes to the requests of the process that dirtied the pages, as far "
        "as page_cache and writeback were recorded; else it is unattributed"
    ),
)
_PEAK = "idle goes by the use in each resource's busiest second, at the requests' arrival"
_BY_REQUEST = "requests are those that each of them served: what they called is on other rows"
_TOO_FEW = f"no ± where fewer than {FEWEST} of the window's {BLOCKS} parts have a request"


def cost_table(
    connection: duckdb.DuckDBPyConnection, model: CostModel, *, by: Dimension | None = None
) -> CostResult:
    """Return the bill of the window, split over subjects, layers, services and parts.

    Subjects are root endpoints, or what `by` names. The relations of the
    capture are defined, but need not be tables. Leaves what `priced` leaves.
    """
    by = by or Dimension()
    try:
        gather(connection, by, peak=model.file.policy.idle == "peak_weighted")
        result = priced(connection, model, by=by)
        result.notes.extend(_inferred(connection))
        return result
    finally:
        for table in TABLES:
            connection.execute(f"DROP TABLE IF EXISTS temp.{table}")


def priced(
    connection: duckdb.DuckDBPyConnection, model: CostModel, *, by: Dimension | None = None
) -> CostResult:
    """Return the cost of what `demand.gather` has found.

    Reads its tables and the relations cost_unattributed, cost_tracer, cost_window
    and cost_disks of the connection, and leaves the temporary tables `cost_line`
    (the rows) and `cost_per_transaction` (the transactions) in it.
    """
    windows = windows_of(connection)
    lost_share = max(window.lost_share for window in windows)
    try:
        allocation.prepare(connection)
        tracer = connection.execute("SELECT SUM(cpu_ns) FROM cost_tracer").fetchone()
        bill = make_bill(
            model,
            windows,
            seen_disks(connection),
            disk_ios(connection),
            unattributed_use(connection),
            classify(connection, model.file.network),
            int(tracer[0] or 0) if tracer else 0,
        )
        _warn_of_free_traffic(connection, bill)
        allocation.allocate(
            connection,
            bill.pools,
            idle=model.file.policy.idle,
            lost_share=lost_share,
            low_shares=bill.low_shares(),
        )
        return _result(connection, model, windows, bill, lost_share, by or Dimension())
    finally:
        allocation.clean(connection)


def _result(
    connection: duckdb.DuckDBPyConnection,
    model: CostModel,
    windows: list[Window],
    bill: Bill,
    lost_share: float,
    by: Dimension,
) -> CostResult:
    rows = [
        CostRow(*row)
        for row in connection.execute(
            "SELECT kind, endpoint, layer, service, part, resource, SUM(cost_usd) "
            "FROM cost_line GROUP BY kind, endpoint, layer, service, part, resource "
            "ORDER BY kind = 'request' DESC, kind, endpoint, layer, service, part, resource"
        ).fetchall()
    ]
    balances = _balances(connection, rows, bill)
    over = [b.resource for b in balances if b.used_share is not None and b.used_share > 1]
    warnings = bill.warnings + [
        f"{resource}: used more than the model provides: oversubscribed, rescaled to its cost"
        for resource in over
    ]
    transactions = _transactions(connection)
    notes = [*_METHOD]
    if model.file.policy.idle == "peak_weighted":
        notes.append(_PEAK)
    if not by.of_roots:
        notes.append(_BY_REQUEST)
    if any(row.statistical_high_usd is None for row in transactions):
        notes.append(_TOO_FEW)
    if model.file.network or model.file.shared:
        notes.append("the prices of network and shared are the model's own figures")
    return CostResult(
        model=model.name,
        currency=model.file.currency,
        window_ns=max(window.window_ns for window in windows),
        hosts=tuple(window.host for window in windows),
        lost_share=lost_share,
        idle_policy=model.file.policy.idle,
        rows=rows,
        transactions=transactions,
        resources=balances,
        bill=bill.lines,
        bill_usd=bill.total_usd,
        idle_usd=_total(rows, "idle"),
        unattributed_usd=_total(rows, "unattributed"),
        prices=bill.prices,
        oldest_source_date=min((price.source_date for price in bill.prices), default=None),
        warnings=warnings,
        notes=notes,
        pools=bill.pools,
        pool_rows=[
            PoolRow(row[0], CostRow(*row[1:]))
            for row in connection.execute(
                "SELECT pool, kind, endpoint, layer, service, part, resource, cost_usd "
                "FROM cost_pool_line ORDER BY ALL"
            ).fetchall()
        ],
        by=by.name,
        tracer_usd=_total(rows, "tracer"),
    )


def _inferred(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return how much of the requests' disk I/O was not seen to be theirs."""
    row = connection.execute("SELECT SUM(given_ios), SUM(ios) FROM request_io").fetchone()
    if row is None or not row[0]:
        return []
    said = f"{row[0]} of the requests' {row[1]} disk I/Os were submitted by the kernel's threads"
    whose = "inferred, they are those of the requests that waited"
    return [f"{said} (a cgroup's limit, the journal): {whose}"]


def _total(rows: list[CostRow], kind: str, resource: str | None = None) -> Decimal:
    return sum(
        (r.cost_usd for r in rows if r.kind == kind and resource in (None, r.resource)),
        Decimal(0),
    )


def _transactions(connection: duckdb.DuckDBPyConnection) -> list[TransactionCost]:
    found = connection.execute("SELECT * FROM cost_per_transaction")
    names = [column[0] for column in found.description or ()]
    transactions = []
    for values in found.fetchall():
        row: dict[str, Any] = dict(zip(names, values, strict=True))
        parts = {part: row.pop(f"{part}_usd") for part in PARTS}
        shares = {part: row.pop(f"{part}_share") for part in PARTS}
        transactions.append(TransactionCost(**row, parts=parts, shares=shares))
    return transactions


def _balances(
    connection: duckdb.DuckDBPyConnection, rows: list[CostRow], bill: Bill
) -> list[ResourceBalance]:
    """Return one balance per resource, the busiest pool's use beside it."""
    used = dict(
        connection.execute(
            """
            SELECT resource, MAX(used) FROM (
              SELECT
                p.resource,
                SUM(c.use) / ANY_VALUE(NULLIF(p.capacity, 0)) AS used
              FROM cost_pool AS p JOIN cost_claim AS c USING (pool)
              WHERE NOT p.whole
              GROUP BY p.pool, p.resource
            ) GROUP BY resource
            """
        ).fetchall()
    )
    costs: dict[str, Decimal] = {}
    for pool in bill.pools:
        costs[pool.resource] = costs.get(pool.resource, Decimal(0)) + pool.cost_usd
    return [
        ResourceBalance(
            resource,
            cost,
            _total(rows, "request", resource),
            _total(rows, "unattributed", resource),
            _total(rows, "idle", resource),
            None if resource == "memory" else used.get(resource),
            _total(rows, "tracer", resource),
        )
        for resource, cost in costs.items()
    ]


def _warn_of_free_traffic(connection: duckdb.DuckDBPyConnection, bill: Bill) -> None:
    """Say how much traffic went to addresses that no class of the model is for."""
    found = connection.execute(
        "SELECT SUM(recv_bytes + send_bytes), COUNT(DISTINCT remote_addr) FROM cost_traffic "
        "WHERE remote_addr NOT IN (SELECT remote_addr FROM cost_address)"
    ).fetchone()
    if found and found[0]:
        bill.warnings.append(
            f"no [[network]] is for {found[1]} of the addresses: "
            f"their traffic, {found[0]} bytes, is free"
        )
