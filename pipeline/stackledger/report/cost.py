"""Shows a cost table: what requests cost, where the bill went, and that it adds up."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from stackledger.analysis.costlines import PARTS
from stackledger.diagnostics import printable
from stackledger.report.costcells import decimals, statistical
from stackledger.report.format import batch, count, duration, money, money_within, share

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stackledger.analysis.costresult import CostResult, CostRow, TransactionCost

# So many of the dearest are shown layer by layer: the others are in the rows.
_DETAILED = 3
# The table's columns, and the parts that each of them sums.
_COLUMNS = {
    "CPU": ("cpu",),
    "memory": ("memory",),
    "disk": ("disk_capacity", "disk_iops", "disk_throughput"),
    "network": ("network",),
    "shared": ("shared",),
    "idle": ("idle",),
}
_RESOURCES = {
    "cpu": "CPU",
    "memory": "memory",
    "disk_capacity": "disk capacity",
    "disk_iops": "disk IOPS",
    "disk_throughput": "disk throughput",
    "network": "network",
    "shared": "shared",
}


def text(result: CostResult, *, width: int = 80, limit: int = 20) -> str:
    """Return the report as plain text."""
    written = io.StringIO()
    console = Console(file=written, width=width, force_terminal=False, color_system=None)
    console.print(render(result, limit=limit))
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines()) + "\n"


def render(result: CostResult, *, limit: int = 20) -> RenderableType:
    """Return the report for a console; `limit` bounds the endpoints shown."""
    shown = result.transactions[:limit]
    number, name = batch(max((row.loaded_usd for row in result.transactions), default=Decimal(0)))
    per = f"per {name}"
    blocks: list[RenderableType] = [
        Text(
            f"Cost {per} by {result.by}: model {result.model}, {duration(result.window_ns)}",
            style="bold",
        ),
        Text(),
    ]
    if shown:
        blocks += [_figures(result, shown, number), Text(), _parts(result, shown, number)]
        # Of those shown the one that spends the most on disks; of none, the dearest.
        dearest = max(shown, key=lambda row: row.disk_usd * row.requests)
        disk, loaded = (_money(result, x * number) for x in (dearest.disk_usd, dearest.loaded_usd))
        blocks += [Text(), Text(f"disk I/O {disk} of {loaded} {per}: {_name(dearest.endpoint)}")]
    else:
        blocks.append(Text("no request: the whole bill is idle or unattributed"))
    if len(result.transactions) > limit:
        rest = result.transactions[limit:]
        spent = _in_window(result, sum((row.total_usd for row in rest), Decimal(0)))
        blocks.append(Text(f"{count(len(rest))} more: {spent} in the window"))
    blocks += [Text(), _bill(result), Text(), _balance(result), Text(), _proof(result), Text()]
    blocks += [Text(line) for line in _provenance(result)]
    return Group(*blocks)


def _money(result: CostResult, amount: Decimal | None) -> str:
    return money(amount, result.currency)


def _in_window(result: CostResult, amount: Decimal) -> str:
    """Return an amount with four figures of the bill, so that lines can be added up."""
    decimals = max(2, 3 - result.bill_usd.adjusted()) if result.bill_usd else 2
    return money(amount, result.currency, decimals)


def _name(endpoint: str | None) -> str:
    return printable(endpoint) if endpoint else "(unknown)"


def _label(name: str) -> Text:
    """Return the first cell of a row: of a column that may wrap, which is what shrinks first."""
    return Text(name, no_wrap=True, overflow="ellipsis")


def _table(*headings: str, gap: int = 2) -> Table:
    """Return a table without lines whose first column gives way to the numbers."""
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="bold")
    table.add_column(headings[0], min_width=12)
    for heading in headings[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _figures(result: CostResult, shown: list[TransactionCost], number: int) -> Table:
    """Return the three figures and both intervals; of the systematic one the ends that differ."""
    lower = any(row.loaded_low_usd < row.loaded_usd for row in shown)
    higher = any(row.loaded_high_usd != row.loaded_usd for row in shown)
    ends = [*(["at least"] if lower else []), *(["at most"] if higher else [])]
    table = _table(result.by, "requests", "marginal", "direct", "loaded", "± 95 %", *ends)
    for row in shown:
        amounts = (row.marginal_usd, row.direct_usd, row.loaded_usd)
        systematic = {"at least": row.loaded_low_usd, "at most": row.loaded_high_usd}
        table.add_row(
            _label(_name(row.endpoint)),
            count(row.requests),
            *(_each(result, amount, number) for amount in amounts),
            statistical(row),
            *(_each(result, systematic[end], number) for end in ends),
        )
    return table


def _each(result: CostResult, amount: Decimal | None, number: int) -> str:
    """Return the amount of so many requests, with five figures of the dearest at most."""
    if amount is None:
        return _money(result, None)
    dearest = max(row.loaded_usd for row in result.transactions) * number
    return money_within(amount * number, decimals(dearest) + 1, result.currency)


def _parts(result: CostResult, shown: list[TransactionCost], number: int) -> Table:
    """Return the parts in dollars, and of the dearest also as shares and by layer."""
    columns = {
        heading: parts
        for heading, parts in _COLUMNS.items()
        if any(row.parts[part] for row in result.transactions for part in parts)
    }
    table = _table("of which", *columns, "loaded")
    for place, row in enumerate(shown):
        amounts = [sum((row.parts[p] for p in parts), Decimal(0)) for parts in columns.values()]
        table.add_row(
            _label(_name(row.endpoint)),
            *(_each(result, amount, number) for amount in (*amounts, row.loaded_usd)),
        )
        if place >= _DETAILED:
            continue
        table.add_row(
            "",
            *(share(sum(row.shares[p] for p in parts)) for parts in columns.values()),
            style="dim",
        )
        for label, lines in _by_layer(result.rows, row.endpoint):
            spent = [_sum(lines, parts) for parts in columns.values()]
            each = [amount / row.requests for amount in (*spent, _sum(lines, PARTS))]
            written = (_each(result, amount, number) if amount else "–" for amount in each)
            table.add_row(_label(f"  {label}"), *written, style="dim")
    return table


def _by_layer(rows: Iterable[CostRow], endpoint: str) -> list[tuple[str, list[CostRow]]]:
    layers: dict[str, list[CostRow]] = {}
    for row in rows:
        if row.kind == "request" and row.endpoint == endpoint:
            names = [printable(name) for name in (row.layer, row.service) if name]
            layers.setdefault(" ".join(names) or "(any layer)", []).append(row)
    return sorted(layers.items(), key=lambda item: (-_sum(item[1], PARTS), item[0]))


def _sum(rows: Iterable[CostRow], parts: Iterable[str]) -> Decimal:
    wanted = set(parts)
    return sum((row.cost_usd for row in rows if row.part in wanted), Decimal(0))


def _bill(result: CostResult) -> Table:
    table = _table("bill", "per month", "in the window")
    for line in result.bill:
        month = "by use" if line.monthly_usd is None else _money(result, line.monthly_usd)
        table.add_row(_label(printable(line.item)), month, _in_window(result, line.cost_usd))
    return table


def _balance(result: CostResult) -> Table:
    """Return where the cost of each resource went, as shares of it: they sum to 100 %."""
    traced = ["tracer"] if result.tracer_usd else []
    # Seven amounts of a small bill are just 80 columns wide.
    gap = 1 if traced else 2
    table = _table("resource", "cost", "requests", *traced, "unattributed", "idle", "used", gap=gap)
    for row in result.resources:
        if not row.cost_usd:
            continue
        own = [row.tracer_usd] if traced else []
        amounts = (row.requests_usd, *own, row.unattributed_usd, row.idle_usd)
        table.add_row(
            _RESOURCES[row.resource],
            _in_window(result, row.cost_usd),
            *(share(float(amount / row.cost_usd)) for amount in amounts),
            share(row.used_share),
        )
    return table


def _proof(result: CostResult) -> Table:
    table = _table("sum", "in the window", "share")
    for label, amount in (
        ("all requests, fully loaded", result.requests_usd),
        ("+ idle, not shared out", result.idle_usd),
        ("+ recording itself (tracer)", result.tracer_usd),
        ("+ unattributed", result.unattributed_usd),
        ("= bill of the window", result.bill_usd),
    ):
        if not amount and label.startswith("+ recording"):
            continue
        part = float(amount / result.bill_usd) if result.bill_usd else None
        table.add_row(label, _in_window(result, amount), share(part))
    table.add_row("difference", _money(result, result.difference_usd), "", style="dim")
    return table


def _provenance(result: CostResult) -> list[str]:
    """Return the dates of the prices, what weakens the figures, and the method."""
    oldest = result.oldest_source_date
    grades = sorted({price.confidence for price in result.prices})
    if oldest is None:
        dated = "prices: none from the catalogue"
    else:
        dated = f"list prices: {', '.join(grades)}, the oldest of {oldest.isoformat()}"
    lost = f"lost events: {share(result.lost_share)}; idle: {result.idle_policy}"
    intervals = "± 95 %: how far the mean may vary with the load"
    if result.lost_share:
        intervals += "; at most: all that was lost is its own"
    if any(row.loaded_low_usd < row.loaded_usd for row in result.transactions):
        intervals += "; at least: the lowest of disputed prices"
    warnings = [f"warning: {printable(warning)}" for warning in result.warnings]
    return [dated, lost, intervals, *warnings, *(f"note: {note}" for note in result.notes)]
