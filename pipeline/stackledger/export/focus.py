"""FOCUS 1.2 rows of a cost table: what each endpoint and layer was charged, price by price.

Every charge of the bill (one unit price times one quantity) is split over the cost
table's rows that drew on its pools, by the money that they took from them. What is
split is the quantity, in whole 1e-15 units: so price times quantity is the cost in
every row, and the rows of a charge sum to it exactly.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

from stackledger.analysis.charges import QUANTUM
from stackledger.analysis.diskbill import split
from stackledger.errors import StackledgerError
from stackledger.export.focuscolumns import NAMES
from stackledger.export.focusorigin import home_of, origin_columns
from stackledger.export.focusperiods import periods

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stackledger.analysis.billing import Pool
    from stackledger.analysis.charges import Charge
    from stackledger.analysis.costresult import CostResult, CostRow
    from stackledger.export.focusorigin import Source
    from stackledger.export.focusperiods import Period

Row = dict[str, Any]
# What the view `roots` calls a request that nobody could name: FOCUS wants NULL for it.
NAMELESS = "(unknown)"
_COSTS = ("BilledCost", "ContractedCost", "EffectiveCost")


def focus_rows(result: CostResult, source: Source) -> list[Row]:
    """Return the rows by `focuscolumns.NAMES`: decimals, times in UTC, None for no value.

    Raises StackledgerError where a charge's money is in no row of the cost table.
    """
    months = periods(source.from_ts_ns, source.until_ts_ns)
    home = home_of(result)
    rows: list[Row] = []
    number = 0
    for charge in (charge for line in result.bill for charge in line.charges):
        claims = _claims(result, charge)
        for month, pricing, consumed in _by_month(charge, months) if claims else ():
            number += 1
            origin = origin_columns(result, source, charge, month, home) | {
                "x_OriginChargeId": f"{source.capture}/{number}",
                "x_OriginPricingQuantity": _decimal(pricing),
            }
            rows += _allocated(charge, origin, claims, pricing, consumed)
    return [{name: row.get(name) for name in NAMES} for row in rows]


def _by_month(charge: Charge, months: list[Period]) -> Iterator[tuple[Period, int, int]]:
    """Return the charge's quantities in each month, in whole QUANTUM."""
    weights = [month.weight_ns for month in months]
    pricing = split(_grains(charge.quantity), weights)
    consumed = split(_grains(charge.consumed), weights)
    yield from zip(months, pricing, consumed, strict=True)


def _claims(result: CostResult, charge: Charge) -> list[tuple[int, list[tuple[CostRow, int]]]]:
    """Return per resource of the charge its weight, and the rows of its pools with theirs."""
    found = []
    for resource, weight in charge.shares:
        pools = _pools(result.pools, resource, charge)
        rows = [
            (one.row, int(one.row.cost_usd.scaleb(12)))
            for one in result.pool_rows
            if one.pool in pools
        ]
        if weight > 0 and rows:
            found.append((int(weight.scaleb(18)), rows))
        elif weight > 0 and any(result.pools[at].cost_usd for at in pools):
            raise StackledgerError("no row of the cost table holds the cost of", resource)
    return found


def _pools(pools: list[Pool], resource: str, charge: Charge) -> set[int]:
    """Return the numbers of the pools that hold the charge's money for one resource."""
    alike = {at for at, pool in enumerate(pools) if pool.resource == resource}
    own = {at for at in alike if pools[at].layers == charge.layers}
    if resource in ("shared", "network"):
        own = {at for at in alike if pools[at].name == charge.name}
    return own or alike


def _allocated(
    charge: Charge,
    origin: Row,
    claims: list[tuple[int, list[tuple[CostRow, int]]]],
    pricing: int,
    consumed: int,
) -> Iterator[Row]:
    """Return the charge's rows: its quantities split by resource, then by row."""
    weights = [weight for weight, _ in claims]
    parts = zip(claims, split(pricing, weights), split(consumed, weights), strict=True)
    for (_, rows), priced, used in parts:
        shares = [share for _, share in rows]
        each = zip(rows, split(priced, shares), split(used, shares), strict=True)
        for (row, _), quantity, consumption in each:
            if quantity:
                yield _row(charge, origin, row, _decimal(quantity), _decimal(consumption))


def _row(charge: Charge, origin: Row, row: CostRow, quantity: Decimal, consumed: Decimal) -> Row:
    with localcontext(prec=60):
        cost, list_cost = charge.price * quantity, charge.list_price * quantity
    return {
        **origin,
        **dict.fromkeys(_COSTS, cost),
        "ListCost": list_cost,
        "PricingQuantity": quantity,
        "ConsumedQuantity": consumed,
        "x_Kind": row.kind,
        "x_Endpoint": None if row.endpoint == NAMELESS else row.endpoint or None,
        "x_Layer": row.layer,
        "x_Service": row.service,
        "x_Part": row.part,
        "x_Resource": row.resource,
    }


def _grains(quantity: Decimal) -> int:
    with localcontext(prec=60):
        return int(quantity / QUANTUM)


def _decimal(grains: int) -> Decimal:
    with localcontext(prec=60):
        return Decimal(grains) * QUANTUM
