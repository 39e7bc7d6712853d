"""Cost models: what a deployment consists of and what each piece costs.

A model is a TOML file (`schema = "cost-model/1"`); `costmodels/` holds some to
copy. Loading validates every field and resolves every sku to the prices of
the catalogue, so that whatever works with a CostModel needs no further check.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import msgspec

from stackledger import resources
from stackledger.analysis import modelerrors
from stackledger.analysis.modelfile import Disk, ModelFile, Node
from stackledger.analysis.pricecatalog import Catalog, Charge, Price, load_catalog
from stackledger.errors import StackledgerError, UsageError, nearest


@dataclass(frozen=True, slots=True)
class PricedNode:
    """A node and its price per month."""

    spec: Node
    monthly_usd: Decimal
    prices: tuple[Price, ...]

    @property
    def overridden(self) -> bool:
        """Whether the price is the user's own figure, which nobody verified."""
        return self.spec.monthly_override > 0


@dataclass(frozen=True, slots=True)
class PricedDisk:
    """A volume, its price per month as three resources, and its limits per second.

    A limit is None where neither the model nor the catalogue gives one.
    """

    spec: Disk
    capacity_usd: Decimal
    iops_usd: Decimal
    throughput_usd: Decimal
    iops: int | None
    throughput_bytes: int | None
    prices: tuple[Price, ...]

    @property
    def monthly_usd(self) -> Decimal:
        """Return the price per month of the whole volume."""
        return self.capacity_usd + self.iops_usd + self.throughput_usd


@dataclass(frozen=True, slots=True)
class CostModel:
    """A validated model, every sku resolved."""

    name: str
    path: Path
    file: ModelFile
    nodes: tuple[PricedNode, ...]
    disks: tuple[PricedDisk, ...]
    catalog: Catalog = field(repr=False)


def price_node(node: Node, catalog: Catalog, hours_per_month: Decimal) -> PricedNode:
    """Return the node with its price: the user's own, else the list's."""
    if node.monthly_override > 0:
        return PricedNode(node, node.monthly_override, ())
    if not node.sku:
        raise UsageError("a node needs a sku or a monthly_override above 0")
    tiers = catalog.tiers(node.sku, "instance")
    if not tiers:
        raise catalog.unknown_sku(node.sku, "instance")
    return PricedNode(node, tiers[0].price * hours_per_month, tuple(tiers))


def price_disk(disk: Disk, catalog: Catalog) -> PricedDisk:
    """Return the disk with the price of its capacity, IOPS and throughput.

    A dimension without a price is included in that of the capacity.
    """
    if not catalog.tiers(disk.sku, "capacity"):
        raise catalog.unknown_sku(disk.sku, "capacity")
    capacity = catalog.charge(disk.sku, "capacity", disk.size_gb)
    iops, iops_limit = _provisioned(disk.sku, "iops", Decimal(disk.iops), catalog)
    throughput, mib_limit = _provisioned(disk.sku, "throughput", disk.throughput_mbps, catalog)
    return PricedDisk(
        spec=disk,
        capacity_usd=capacity.cost,
        iops_usd=iops.cost,
        throughput_usd=throughput.cost,
        iops=int(iops_limit) or None,
        throughput_bytes=int(mib_limit * 1024 * 1024) or None,
        prices=capacity.prices + iops.prices + throughput.prices,
    )


def _provisioned(
    sku: str, dimension: str, asked: Decimal, catalog: Catalog
) -> tuple[Charge, Decimal]:
    tiers = catalog.tiers(sku, dimension)
    if asked == 0:
        included = tiers[0].tier_end if tiers and tiers[0].price == 0 else None
        return Charge(Decimal(0), ()), included or Decimal(0)
    charge = catalog.charge(sku, dimension, asked)
    return charge, asked


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
    source: str | Path, *, catalog: Catalog | None = None, allow_conflicting: bool = False
) -> CostModel:
    """Return the validated model; every fault is a UsageError with file and line.

    Prices on which the sources disagree are refused unless `allow_conflicting`.
    """
    path = find_model(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise StackledgerError("cannot read the cost model", f"{path}: {failure}") from None
    try:
        parsed = msgspec.convert(tomllib.loads(text, parse_float=Decimal), ModelFile)
    except tomllib.TOMLDecodeError as failure:
        raise UsageError("the cost model is not TOML", f"{path}: {failure}") from None
    except msgspec.ValidationError as failure:
        raise modelerrors.explain(failure, path, text, ModelFile) from None
    prices = catalog or load_catalog()
    nodes, disks = [], []
    place: list[str | int] = []
    try:
        for index, node in enumerate(parsed.node):
            place = ["node", index, "sku"]
            nodes.append(price_node(node, prices, parsed.hours_per_month))
            _refuse(nodes[-1].prices, allow_conflicting)
        for index, disk in enumerate(parsed.disk):
            place = ["disk", index, "sku"]
            disks.append(price_disk(disk, prices))
            _refuse(disks[-1].prices, allow_conflicting)
    except UsageError as failure:
        raise modelerrors.at(failure, path, text, place) from None
    return CostModel(path.stem, path, parsed, tuple(nodes), tuple(disks), prices)


def _refuse(prices: tuple[Price, ...], allow: bool) -> None:
    for price in prices:
        if price.confidence == "conflicting" and not allow:
            raise UsageError(
                f"sources disagree on the {price.dimension} price of sku",
                price.sku,
                hint="allow conflicting prices to use the highest of them",
            )
        if price.currency != "USD":
            raise UsageError(f"the price of {price.sku} is not in USD", price.currency)
