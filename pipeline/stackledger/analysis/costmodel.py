"""Cost models: what a deployment consists of and what each piece costs.

A model is a TOML file (`schema = "cost-model/1"`); `costmodels/` holds some to
copy. Loading validates every field and resolves every sku to the prices of
the catalogue, so that whatever works with a CostModel needs no further check.

A field that ends in _usd holds an amount in the model's own currency, which is
USD unless the model says otherwise; PriceRules refuses a price in another one.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import msgspec

from stackledger import resources
from stackledger.analysis import modelerrors, modelrules
from stackledger.analysis.modelfile import ModelFile
from stackledger.analysis.modelprices import (
    PricedDisk,
    PricedNetwork,
    PricedNode,
    price_disk,
    price_network,
    price_node,
)
from stackledger.analysis.pricecatalog import Catalog, load_catalog
from stackledger.analysis.pricerules import PriceRules, own_prices
from stackledger.errors import StackledgerError, UsageError, nearest

# What prices a piece is part of what a model is: whoever compares options asks here.
__all__ = [
    "CostModel",
    "PricedDisk",
    "PricedNetwork",
    "PricedNode",
    "find_model",
    "load_model",
    "price_disk",
    "price_model",
    "price_network",
    "price_node",
]


@dataclass(frozen=True, slots=True)
class CostModel:
    """A validated model, every sku resolved.

    `catalog` holds the model's own prices too; whoever prices something else
    with it (another disk, another node) asks `rules.check` whether it may.
    """

    name: str
    path: Path
    file: ModelFile
    nodes: tuple[PricedNode, ...]
    disks: tuple[PricedDisk, ...]
    networks: tuple[PricedNetwork, ...]
    rules: PriceRules
    catalog: Catalog = field(repr=False)


def find_model(source: str | Path) -> Path:
    """Return the path of a model named by a file or by a packaged model's name."""
    path = Path(source)
    if path.is_file():
        return path
    folder = resources.folder("costmodels")
    known = sorted(found.stem for found in folder.glob("*.toml"))
    if str(source) in known:
        return folder / f"{source}.toml"
    if path.exists():
        raise UsageError("the cost model is not a file", path)
    hint = nearest(path.stem, known) or f"give a file or one of: {', '.join(known)}"
    raise UsageError("no such cost model", source, hint=hint)


def load_model(
    source: str | Path,
    *,
    catalog: Catalog | None = None,
    allow_conflicting: bool = False,
    max_price_age_days: int | None = None,
    today: date | None = None,
) -> CostModel:
    """Return the validated model; every fault is a UsageError with file and line.

    Refused are prices in another currency than the model's, those on which the
    sources disagree unless `allow_conflicting`, and those that were more than
    `max_price_age_days` old on the day `today`, by default this one.
    """
    path = find_model(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise StackledgerError("cannot read the cost model", f"{path}: {failure}") from None
    return price_model(
        text,
        path,
        catalog=catalog,
        allow_conflicting=allow_conflicting,
        max_price_age_days=max_price_age_days,
        today=today,
    )


def price_model(
    text: str,
    path: Path,
    *,
    catalog: Catalog | None = None,
    allow_conflicting: bool = False,
    max_price_age_days: int | None = None,
    today: date | None = None,
) -> CostModel:
    """Return the model that a text is, as `load_model` does; `path` names it in errors."""
    parsed = _parsed(text, path)
    rules = PriceRules(
        parsed.currency, today or datetime.now(UTC).date(), allow_conflicting, max_price_age_days
    )
    prices = replace(catalog or load_catalog(), own=own_prices(parsed))
    nodes, disks, networks = [], [], []
    place: list[str | int] = []
    try:
        for index, node in enumerate(parsed.node):
            place = ["node", index, "sku"]
            nodes.append(price_node(node, prices, parsed.hours_per_month))
            rules.check(nodes[-1].prices)
        for index, disk in enumerate(parsed.disk):
            place = ["disk", index, "sku"]
            disks.append(price_disk(disk, prices))
            rules.check(disks[-1].prices)
        for index, network in enumerate(parsed.network):
            place = ["network", index, "sku"]
            networks.append(price_network(network, prices))
            rules.check(networks[-1].prices)
    except UsageError as failure:
        raise modelerrors.at(failure, path, text, place) from None
    return CostModel(
        path.stem, path, parsed, tuple(nodes), tuple(disks), tuple(networks), rules, prices
    )


def _parsed(text: str, path: Path) -> ModelFile:
    try:
        parsed = msgspec.convert(tomllib.loads(text, parse_float=Decimal), ModelFile)
    except tomllib.TOMLDecodeError as failure:
        raise UsageError("the cost model is not TOML", f"{path}: {failure}") from None
    except msgspec.ValidationError as failure:
        raise modelerrors.explain(failure, path, text, ModelFile) from None
    modelrules.check(parsed, path, text)
    return parsed
