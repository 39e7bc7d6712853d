"""The rules of FOCUS 1.2 that a file of ours has to keep, each as a check of its texts.

The checks read what a receiver reads: column names, and a text or NULL per cell. A rule
gives a complaint per violation; `check` runs all of them. Sources: the column
definitions and attributes of the specification, and for what is allocated the handling
of split costs that FOCUS 1.3 adds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext

from stackledger.export.focuscolumns import BY_NAME, COLUMNS, MANDATORY

Row = dict[str, str | None]
Rule = Callable[[Sequence[str], Sequence[Row]], Iterable[str]]

_PASCAL = re.compile(r"(x_)?[A-Z][A-Za-z0-9]{0,49}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_UNIT = re.compile(r"(\d+ )?[A-Z][A-Za-z]*(-[A-Z][A-Za-z]*)*(/(\d+ )?[A-Z][A-Za-z]*)?")
_PLACEHOLDERS = {"null", "none", "nan", "n/a", "na", "not applicable", "-", "–", "(unknown)"}
_NUMERIC = ("cost", "price", "quantity")
_TIMES = ("BillingPeriodStart", "ChargePeriodStart", "ChargePeriodEnd", "BillingPeriodEnd")


def check(columns: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Return every violation as "row N: column: what", counted from 1; none means it conforms."""
    found = list(named_and_ordered(columns, rows))
    if any(name not in columns for name in MANDATORY):
        return found
    for rule in RULES:
        found += rule(columns, rows)
    return found


def named_and_ordered(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """All mandatory columns, no name twice, Pascal case, own ones with x_ and last."""
    del rows
    for name in MANDATORY:
        if name not in columns:
            yield f"head: {name}: the mandatory column is missing"
    for name in sorted({name for name in columns if columns.count(name) > 1}):
        yield f"head: {name}: the column is there twice"
    for name in columns:
        if not _PASCAL.fullmatch(name):
            yield f"head: {name}: not Pascal case, at most 50 letters and digits"
    own = [name.startswith("x_") for name in columns]
    if own != sorted(own):
        yield "head: own columns (x_…) come last"


def nulls(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """NULL only where the column allows it, and no other word for "no value"."""
    for at, row in enumerate(rows, start=1):
        for name in columns:
            value, known = row[name], BY_NAME.get(name)
            if value is None:
                if known is not None and not known.null:
                    yield f"row {at}: {name}: NULL is not allowed"
            elif not value.strip() or value.strip().lower() in _PLACEHOLDERS:
                yield f"row {at}: {name}: {value!r} stands for no value: NULL does"


def allowed(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """Where the values are fixed, one of them."""
    fixed = [one for one in COLUMNS if one.values and one.name in columns]
    for at, row in enumerate(rows, start=1):
        for one in fixed:
            value = row[one.name]
            if value is not None and value not in one.values:
                yield f"row {at}: {one.name}: {value!r} is none of {', '.join(one.values)}"


def numbers(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """Decimals written out: no exponent, sign only for minus, no comma; a price from 0."""
    names = [one.name for one in COLUMNS if one.kind in _NUMERIC and one.name in columns]
    for at, row in enumerate(rows, start=1):
        for name in names:
            value = row[name]
            if value is None:
                continue
            if not _NUMBER.fullmatch(value):
                yield f"row {at}: {name}: {value!r} is not a decimal written out"
            elif BY_NAME[name].kind == "price" and value.startswith("-"):
                yield f"row {at}: {name}: a unit price is not negative: {value}"


def formats(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """Times in UTC, currencies by ISO 4217, units by their format, tags as a flat object."""
    for at, row in enumerate(rows, start=1):
        for name in columns:
            value, known = row[name], BY_NAME.get(name)
            if value is None:
                continue
            if known is not None and known.kind == "time" and not _TIME.fullmatch(value):
                yield f"row {at}: {name}: {value!r} is not YYYY-MM-DDTHH:mm:ssZ"
            elif name.endswith("Currency") and not re.fullmatch("[A-Z]{3}", value):
                yield f"row {at}: {name}: {value!r} is no currency code"
            elif name.endswith("Unit") and not _UNIT.fullmatch(value):
                yield f"row {at}: {name}: {value!r} is no unit such as Hours or GB-Months"
            elif known is not None and known.kind == "json" and not _flat(value):
                yield f"row {at}: {name}: not a JSON object of plain values"


def _flat(text: str) -> bool:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and not any(
        isinstance(one, dict | list) for one in value.values()
    )


def in_periods(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """A charge lies in its billing period, which is a calendar month; ends are exclusive."""
    del columns
    for at, row in enumerate(rows, start=1):
        texts = [row[name] or "" for name in _TIMES]
        if not all(_TIME.fullmatch(text) for text in texts):
            continue  # `formats` says so
        try:
            month, start, end, following = (
                datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) for text in texts
            )
            next_month = (month.replace(day=1) + timedelta(days=32)).replace(day=1)
        except (ValueError, OverflowError):  # of the year 9999 the last month has no next one
            yield f"row {at}: ChargePeriodStart: one of {', '.join(texts)} is no time"
            continue
        if not month <= start < end <= following:
            yield f"row {at}: ChargePeriodStart: {start} to {end} leaves {month} to {following}"
        first = month.replace(day=1, hour=0, minute=0, second=0)
        if month != first or following != next_month.replace(hour=0, minute=0, second=0):
            yield f"row {at}: BillingPeriodStart: {month} to {following} is no calendar month"


def priced(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """Unit price times quantity is the cost, to the last figure, for list and contract."""
    for price, cost in (("ListUnitPrice", "ListCost"), ("ContractedUnitPrice", "ContractedCost")):
        if price not in columns:
            continue
        for at, row in enumerate(rows, start=1):
            values = [_decimal(row[name]) for name in (price, "PricingQuantity", cost)]
            if None in values:
                continue
            unit, quantity, amount = values
            with localcontext(prec=100):
                made = unit * quantity  # type: ignore[operator]
            if made != amount:
                yield f"row {at}: {cost}: {price} x PricingQuantity is {made:f}, not {amount}"


def paired(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """A resource has a type and only a resource has; a price of a sku belongs to that sku."""
    del columns
    parents: dict[str, str | None] = {}
    for at, row in enumerate(rows, start=1):
        if (row.get("ResourceId") is None) != (row.get("ResourceType") is None):
            yield f"row {at}: ResourceType: it goes with ResourceId, and only with it"
        price, sku = row.get("SkuPriceId"), row.get("SkuId")
        if price is not None and parents.setdefault(price, sku) != sku:
            yield f"row {at}: SkuPriceId: {price} belongs to two skus"


def allocated(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """What one charge was split into has its columns, and sums to it without a remainder."""
    if not {"x_OriginChargeId", "x_OriginPricingQuantity"} <= set(columns):
        return
    same = [one.name for one in COLUMNS if not one.per_row and one.name in columns]
    first: dict[str, Row] = {}
    sums: dict[str, Decimal] = {}
    for at, row in enumerate(rows, start=1):
        origin = row["x_OriginChargeId"] or ""
        known = first.setdefault(origin, row)
        for name in same:
            if row[name] != known[name]:
                yield f"row {at}: {name}: differs from the other rows of charge {origin}"
        with localcontext(prec=100):
            sums[origin] = sums.get(origin, Decimal(0)) + (
                _decimal(row["PricingQuantity"]) or Decimal(0)
            )
    for origin, total in sums.items():
        wanted = _decimal(first[origin]["x_OriginPricingQuantity"])
        if total != wanted:
            yield f"charge {origin}: PricingQuantity: the rows sum to {total:f}, not {wanted}"


def _decimal(text: str | None) -> Decimal | None:
    return Decimal(text) if text is not None and _NUMBER.fullmatch(text) else None


RULES: tuple[Rule, ...] = (
    nulls,
    allowed,
    numbers,
    formats,
    in_periods,
    priced,
    paired,
    allocated,
)
