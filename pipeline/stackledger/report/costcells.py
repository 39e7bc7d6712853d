"""What an endpoint costs by layer and part, rounded so that every sum is as printed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from stackledger.analysis.costlines import PARTS
from stackledger.report.format import money, share
from stackledger.report.rounding import controlled
from stackledger.report.shown import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stackledger.analysis.costresult import CostResult, CostRow, TransactionCost

_FINE = 10**6


@dataclass(frozen=True, slots=True)
class Scale:
    """How amounts are written: for `number` requests at once, with `places` decimals."""

    number: int
    places: int
    currency: str

    def written(self, grains: int | None) -> str:
        """Return whole units of the last decimal place as an amount."""
        amount = None if grains is None else Decimal(grains).scaleb(-self.places)
        return money(amount, self.currency, self.places)


@dataclass(frozen=True, slots=True)
class Cells:
    """One endpoint: `grains` by layer (in the order of `layers`) and part (of PARTS).

    A grain is a unit of the last decimal place; `used` says which are not simply 0.
    """

    layers: list[str]
    grains: list[list[int]]
    used: list[list[bool]]

    def part(self, name: str) -> list[int]:
        """Return the grains of one part, by layer."""
        at = PARTS.index(name)
        return [row[at] for row in self.grains]

    @property
    def loaded(self) -> int:
        """Return the grains of all parts and layers."""
        return sum(map(sum, self.grains))


def cells(result: CostResult, row: TransactionCost, scale: Scale) -> Cells:
    """Return what one endpoint costs per `scale.number` requests, dearest layer first."""
    layers = _by_layer(result.rows, row.endpoint)
    exact = [
        [_sum(lines, part) * scale.number / row.requests for part in PARTS] for _, lines in layers
    ]
    return Cells(
        [label for label, _ in layers],
        rounded(exact, scale.places),
        [[amount != 0 for amount in amounts] for amounts in exact],
    )


def rounded(amounts: Sequence[Sequence[Decimal]], places: int) -> list[list[int]]:
    """Return amounts in units of the last decimal place, with sums that fit."""
    return controlled([[round(x.scaleb(places) * _FINE) for x in row] for row in amounts], _FINE)


def decimals(amount: Decimal) -> int:
    """Return how many decimals show four figures of an amount, and at least cents."""
    return max(2, 3 - amount.adjusted()) if amount else 2


def statistical(row: TransactionCost) -> str:
    """Return half the 95 % interval of a transaction's cost as a share of it."""
    if row.statistical_high_usd is None or not row.loaded_usd:
        return share(None)
    return share((row.statistical_high_usd - row.loaded_usd) / row.loaded_usd)


def _by_layer(rows: Iterable[CostRow], endpoint: str) -> list[tuple[str, list[CostRow]]]:
    layers: dict[str, list[CostRow]] = {}
    for row in rows:
        if row.kind == "request" and row.endpoint == endpoint:
            names = [text(name, 60) for name in (row.layer, row.service) if name]
            layers.setdefault(" ".join(dict.fromkeys(names)) or "(any layer)", []).append(row)
    whole = {label: sum((r.cost_usd for r in lines), Decimal(0)) for label, lines in layers.items()}
    return sorted(layers.items(), key=lambda item: (-whole[item[0]], item[0]))


def _sum(rows: Iterable[CostRow], part: str) -> Decimal:
    return sum((row.cost_usd for row in rows if row.part == part), Decimal(0))
