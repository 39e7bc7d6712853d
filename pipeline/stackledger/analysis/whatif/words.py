"""Reads the volumes and instance types that the command line names: SKU,name=value,…"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from stackledger.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stackledger.analysis.costmodel import CostModel

TIERS = "tiers"
# The size of an instance type in its name: m6i.large has 2 vCPUs, xlarge 4, 2xlarge 8.
_SIZE = re.compile(r"\.(?:(?P<large>large)|(?P<times>\d*)xlarge)$")

Words = tuple[str, dict[str, Decimal]]


def disk(word: str) -> Words:
    """Return the sku and the settings of a --disk; raises UsageError."""
    return _words("--disk", word, ("iops", "mbps", "size"))


def instance(word: str) -> Words:
    """Return the sku and the settings of an --instance; raises UsageError."""
    return _words("--instance", word, ("vcpu", "speed", "memory"))


def located(sku: str, own: str) -> str:
    """Return a sku with its provider and region, those of `own` where it has none."""
    place = own.rpartition("/")[0]
    return sku if "/" in sku or not place else f"{place}/{sku}"


def vcpus(word: str, sku: str, given: dict[str, Decimal]) -> int:
    """Return how many CPUs an instance type has, by its settings or its name.

    Raises UsageError where neither tells.
    """
    number = int(given.get("vcpu", 0)) or _by_name(sku)
    if not number:
        raise UsageError(
            "how many CPUs, and how fast, does it have?", word, hint=f"--instance {sku},vcpu=4"
        )
    return number


def check(disks: Sequence[str], instances: Sequence[str], model: CostModel) -> None:
    """Raise UsageError for words that no capture could make sense of, skus without a price too."""
    nodes = [one.spec.sku for one in model.nodes]
    volumes = [one.spec.sku for one in model.disks]
    for word in disks:
        if word != TIERS:
            sku, _ = disk(word)
            _check_sku([located(sku, own) for own in volumes], "capacity", model)
    for word in instances:
        sku, given = instance(word)
        places = [located(sku, own) for own in nodes]
        vcpus(word, places[0] if places else sku, given)
        _check_sku(places, "instance", model)


def _check_sku(places: Sequence[str], dimension: str, model: CostModel) -> None:
    if places and not any(model.catalog.tiers(sku, dimension) for sku in places):
        raise model.catalog.unknown_sku(places[0], dimension)


def _words(option: str, word: str, known: Iterable[str]) -> Words:
    """Return the sku and the settings of SKU,name=value,…; raises UsageError."""
    sku, *rest = (part.strip() for part in word.split(","))
    known = tuple(known)
    hint = f"{option} SKU" + "".join(f",{name}=N" for name in known)
    if not sku or "=" in sku:
        raise UsageError(f"{option} without a sku", word, hint=hint)
    given = {}
    for part in rest:
        name, equals, value = part.partition("=")
        if name not in known or not equals:
            raise UsageError(f"{option} takes no such setting", part, hint=hint)
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise UsageError(f"{option}: not a number", part, hint=hint) from None
        if not number.is_finite() or number <= 0 or number > 10**9:
            raise UsageError(f"{option}: must be more than 0", part, hint=hint)
        given[name] = number
    return sku, given


def _by_name(sku: str) -> int:
    """Return the CPUs that the name of an instance type tells, 0 where it does not."""
    found = _SIZE.search(sku)
    if not found:
        return 0
    return 2 if found["large"] else 4 * int(found["times"] or 1)
