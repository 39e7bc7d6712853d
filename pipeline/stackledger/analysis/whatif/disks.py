"""Options that are another volume: the disk that requests wait for, with its limits and price."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from stackledger.analysis.costmodel import price_disk
from stackledger.analysis.modelfile import Disk
from stackledger.analysis.volumes import TIERS, volume_type, volume_types
from stackledger.analysis.whatif import words
from stackledger.analysis.whatif.changes import Change, said
from stackledger.analysis.whatif.prices import limit_of
from stackledger.errors import UsageError

if TYPE_CHECKING:
    from stackledger.analysis.whatif.changes import Setting

# What a volume gets whose IOPS have to be ordered: as many as others include.
_LEAST_IOPS = 3000


def disk(word: str, setting: Setting) -> Change:
    """Return another volume for the disk that requests wait for: SKU[,iops=N,mbps=M,size=G].

    A sku without a provider is the model's own. Raises UsageError.
    """
    own = setting.priced.disk
    sku, given = words.disk(word)
    name = f"disk {word.strip()}"
    if setting.demand.disk is None:
        return Change(name, "disk", None, None, refused="no request waited for a disk")
    if own is None:
        device = f"{setting.priced.host}/{setting.demand.disk.name}"
        why = f"no [[disk]] of the cost model {setting.priced.model.name} matches {device}: add it"
        return Change(name, "disk", None, None, refused=why)
    sku = words.located(sku, own.spec.sku)
    catalog = setting.priced.model.catalog
    if not catalog.tiers(sku, "capacity"):
        raise catalog.unknown_sku(sku, "capacity")
    try:
        spec = Disk(
            own.spec.match,
            sku,
            given.get("size", own.spec.size_gb),
            int(given.get("iops", 0)),
            given.get("mbps", Decimal(0)),
        )
    except ValueError as failure:
        raise UsageError(f"wrong --disk {word}", failure) from None
    # What this type cannot do in that size, or has no price for, is no end of the others.
    try:
        volume = price_disk(spec, catalog)
        limit = limit_of(volume)
        setting.priced.model.rules.check(volume.prices)
    except UsageError as failure:
        return Change(name, "disk", None, None, refused=said(failure))
    if limit is None:
        why = "what it does a second is not known: add iops=N and mbps=M"
        return Change(name, "disk", None, None, refused=why)
    notes: tuple[str, ...] = ()
    known = volume_type(sku)
    if known is not None and (known.iops.burst or known.throughput.burst):
        notes = ("its bursts on credit are not in it",)
    system = replace(setting.today.system, limit=setting.today.left(limit))
    monthly = setting.priced.instead(own.monthly_usd, volume.monthly_usd)
    return Change(name, "disk", system, monthly, notes)


def tiers(setting: Setting) -> list[Change]:
    """Return a volume of today's size for each type that the model's provider sells there.

    A type whose IOPS have to be ordered gets as many as today's, 3000 at least, but no
    more than its size allows. Types without a price, or smaller than that, are left out.
    """
    own = setting.priced.disk
    if own is None or setting.demand.disk is None:
        return [disk("tiers", setting)]
    region = own.spec.sku.rpartition("/")[0]
    catalog = setting.priced.model.catalog
    found = []
    for volume in sorted(volume_types(), key=lambda one: (TIERS.index(one.tier), one.sku)):
        name = volume.sku.rpartition("/")[2]
        largest = volume.size_max_gib
        if volume.sku.rpartition("/")[0] != region or not catalog.tiers(volume.sku, "capacity"):
            continue
        if largest is not None and own.spec.size_gb > largest:
            continue
        if volume.iops.provisioned and volume.iops.included is None:
            most = volume.iops.ceiling(own.spec.size_gb)
            wanted = max(own.spec.iops, _LEAST_IOPS)
            name += f",iops={wanted if most is None else min(wanted, int(most))}"
        change = disk(name, setting)
        found.append(replace(change, notes=(f"{volume.tier} tier", *change.notes)))
    return found
