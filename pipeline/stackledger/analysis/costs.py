"""What a transaction costs: the bill of a capture's window, split over its requests.

    direct_i = C * U_i / (q * T)   for every provisioned resource
    c_i      = (direct_i + idle_i + shared_i + usage_i) / N_i
    sum(c_i * N_i) + idle not shared + unattributed = bill of the window

The sum holds to 1e-12 dollars in the totals of the window; a figure per
transaction is rounded down to 1e-18.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stackledger.analysis import allocation
from stackledger.analysis.assembly import keep
from stackledger.analysis.bill import REFERENCE_SHAPES, make_bill
from stackledger.analysis.billing import Bill, SeenDisk, Window
from stackledger.analysis.costlines import PARTS
from stackledger.analysis.costresult import CostResult, CostRow, ResourceBalance, TransactionCost
from stackledger.errors import NoSuchCaptureError, StackledgerError, UsageError

if TYPE_CHECKING:
    import duckdb

    from stackledger.analysis.costmodel import CostModel

_RESOURCES = ("cpu", "disk_ios", "disk_bytes", "net_bytes")
_METHOD = (
    "memory's part of a node's price is by least squares over the list prices of "
    + ", ".join(sku.rsplit("/", 1)[1] for sku in REFERENCE_SHAPES),
    "memory use is not measured: memory is idle, shared out only by idle = even",
    "a volume's capacity belongs to its layers, by the device time of their I/O",
    "the interval covers lost events; the statistical error is not in it",
)


def cost_table(connection: duckdb.DuckDBPyConnection, model: CostModel) -> CostResult:
    """Return the bill of the window, split over endpoints, layers, services and parts.

    Reads the relations cost_usage, cost_unattributed, cost_window and
    cost_disks of the connection, and leaves the temporary tables `cost_line`
    (the rows) and `cost_per_transaction` (the transactions) in it.
    """
    if model.file.policy.idle == "peak_weighted":
        raise UsageError(
            "idle = peak_weighted needs the use over time, which a cost table does not have",
            model.path,
            hint="accepted here: none, even, per_resource_proportional",
        )
    windows = _windows(connection)
    lost_share = max(window.lost_share for window in windows)
    # The cost views read each of these several times.
    keep(connection, "request_io", "cost_usage")
    try:
        allocation.prepare(connection)
        disk_layers, net_bytes = _demand(connection)
        unattributed = _unattributed(connection)
        bill = make_bill(
            model,
            windows,
            _disks(connection),
            disk_layers,
            unattributed,
            net_bytes + unattributed.get("net_bytes", 0),
        )
        idle = model.file.policy.idle
        allocation.allocate(connection, bill.pools, idle=idle, lost_share=lost_share)
        return _result(connection, model, windows, bill, lost_share)
    finally:
        allocation.clean(connection)


def _result(
    connection: duckdb.DuckDBPyConnection,
    model: CostModel,
    windows: list[Window],
    bill: Bill,
    lost_share: float,
) -> CostResult:
    rows = [
        CostRow(*row)
        for row in connection.execute(
            "SELECT kind, endpoint, layer, service, part, resource, cost_usd FROM cost_line "
            "ORDER BY kind = 'request' DESC, kind, endpoint, layer, service, part, resource"
        ).fetchall()
    ]
    balances = _balances(connection, rows, bill)
    over = [b.resource for b in balances if b.used_share is not None and b.used_share > 1]
    warnings = bill.warnings + [
        f"{resource}: used more than the model provides: oversubscribed, rescaled to its cost"
        for resource in over
    ]
    notes = [*_METHOD]
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
        transactions=_transactions(connection),
        resources=balances,
        bill=bill.lines,
        bill_usd=bill.total_usd,
        idle_usd=_total(rows, "idle"),
        unattributed_usd=_total(rows, "unattributed"),
        prices=bill.prices,
        oldest_source_date=min((price.source_date for price in bill.prices), default=None),
        warnings=warnings,
        notes=notes,
    )


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
        )
        for resource, cost in costs.items()
    ]


def _windows(connection: duckdb.DuckDBPyConnection) -> list[Window]:
    found = connection.execute(
        "SELECT host, window_ns, cpus, COALESCE(lost_share, 0) FROM cost_window ORDER BY host"
    ).fetchall()
    if not found:
        raise NoSuchCaptureError("there is no capture to price")
    for host, window_ns, cpus, lost in found:
        if not window_ns or window_ns <= 0 or not cpus or cpus <= 0 or not 0 <= lost <= 1:
            raise StackledgerError(
                "the capture's window, CPUs or losses make no sense",
                f"{host}: window_ns {window_ns}, cpus {cpus}, lost_share {lost}",
            )
    return [Window(str(host), int(ns), int(cpus), float(lost)) for host, ns, cpus, lost in found]


def _demand(connection: duckdb.DuckDBPyConnection) -> tuple[frozenset[str], int]:
    """Return the layers that used a disk, and the bytes of all requests."""
    wrong = connection.execute(
        "SELECT endpoint FROM cost_demand WHERE requests IS NULL OR requests <= 0 OR "
        "LEAST(cpu_ns, disk_ios, disk_bytes, net_bytes) < 0 ORDER BY endpoint LIMIT 1"
    ).fetchone()
    if wrong:
        raise StackledgerError("an endpoint has no requests, or used less than nothing", wrong[0])
    layers = connection.execute(
        "SELECT DISTINCT layer FROM cost_demand WHERE disk_ios > 0 OR disk_bytes > 0"
    ).fetchall()
    total = connection.execute("SELECT COALESCE(SUM(net_bytes), 0) FROM cost_demand").fetchone()
    return frozenset(str(row[0]) for row in layers), int(total[0]) if total else 0


def _unattributed(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    found = connection.execute(
        "SELECT resource, COALESCE(SUM(use), 0) FROM cost_unattributed GROUP BY resource"
    ).fetchall()
    for resource, use in found:
        if resource not in _RESOURCES or use < 0:
            raise StackledgerError("unattributed use makes no sense", f"{resource}: {use}")
    return {str(resource): int(use) for resource, use in found}


def _disks(connection: duckdb.DuckDBPyConnection) -> list[SeenDisk]:
    found = connection.execute(
        "SELECT DISTINCT host, device, COALESCE(layer, '') FROM cost_disks ORDER BY ALL"
    ).fetchall()
    return [SeenDisk(str(host), str(device), str(layer)) for host, device, layer in found]
