"""What each type of volume can do: IOPS and throughput, included, per GiB and at most.

Limits are a volume's own; the machine that it is attached to may do less.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from stackledger import resources
from stackledger.analysis import catalogfile
from stackledger.analysis.catalogfile import amount
from stackledger.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = (
    "provider",
    "region",
    "sku",
    "tier",
    "size_max_gib",
    "provisioned",
    "iops_included",
    "iops_per_gib",
    "iops_max",
    "iops_max_per_gib",
    "iops_burst",
    "throughput_unit",
    "throughput_included",
    "throughput_per_gib",
    "throughput_per_iops",
    "throughput_max",
    "throughput_burst",
    "source",
    "source_date",
    "confidence",
)
TIERS = ("standard", "premium", "ultra")
_BYTES = {"MB/s": 10**6, "MiB/s": 2**20}
_PROVISIONED = ("", "iops", "iops throughput")


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of a volume type; None where its provider names none.

    A volume does `included` or `per_gib` times its size, whichever is more; one
    whose performance is `provisioned` does what was ordered, at most `most` and
    `most_per_gib` times its size. `burst` is the highest for a while, on credit.
    """

    provisioned: bool
    included: Decimal | None
    per_gib: Decimal | None
    most: Decimal | None
    most_per_gib: Decimal | None
    burst: Decimal | None

    def given(self, size_gb: Decimal) -> Decimal | None:
        """Return what a volume of that size does without an order, None where unknown."""
        by_size = None if self.per_gib is None else self.per_gib * size_gb
        known = [value for value in (self.included, by_size) if value is not None]
        if known:
            return _least(max(known), self.most)
        return None if self.provisioned else self.most

    def ceiling(self, size_gb: Decimal) -> Decimal | None:
        """Return the most that a volume of that size ever does, None where unknown."""
        if not self.provisioned:
            given = self.given(size_gb)
            return None if given is None else max(given, self.burst or given)
        by_size = None if self.most_per_gib is None else self.most_per_gib * size_gb
        if by_size is not None and self.included is not None:
            by_size = max(by_size, self.included)
        return _least(by_size, self.most)


@dataclass(frozen=True, slots=True)
class VolumeType:
    """A type of volume that one provider sells in one region; `sku` as in the catalogue.

    Throughput is in bytes per second, and `throughput_per_iops` what each I/O
    per second allows of it. `size_max_gib` is the largest such volume.
    """

    sku: str
    tier: str
    size_max_gib: Decimal | None
    iops: Limit
    throughput: Limit
    throughput_per_iops: Decimal | None
    source: str
    source_date: date
    confidence: str

    def limits(
        self,
        size_gb: Decimal | float,
        iops: Decimal | float = 0,
        throughput_mbps: Decimal | float = 0,
    ) -> tuple[int | None, int | None]:
        """Return the I/Os and bytes per second that such a volume sustains.

        `iops` and `throughput_mbps` (MiB/s) are what is ordered, 0 what is
        included; a type whose performance follows its size ignores them. None
        where the limit is not known: nothing ordered, nothing included. An
        order that the type cannot fill is a UsageError.
        """
        size = self._size(size_gb)
        ordered = Decimal(str(iops)) if self.iops.provisioned else Decimal(0)
        wanted = Decimal(str(throughput_mbps)) * 2**20
        if not self.throughput.provisioned:
            wanted = Decimal(0)
        most = self.iops.ceiling(size)
        if most is not None and ordered > most:
            raise UsageError(f"{self._words(size)} can have at most {most:f} IOPS", ordered)
        ios = ordered or self.iops.given(size)
        highest = self.most_bytes(size, ios)
        if highest is not None and wanted > highest:
            raise UsageError(
                f"{self._words(size)} with {_words(ios)} can have at most"
                f" {int(highest / 2**20)} MiB/s",
                throughput_mbps,
            )
        rate = wanted or self._given_bytes(size, ios)
        return _whole(ios), _whole(rate)

    def check(self, size_gb: Decimal, iops: int, throughput_mbps: Decimal) -> None:
        """Raise a UsageError where a volume of that size never does so much."""
        most_ios = self.iops.ceiling(size_gb)
        if most_ios is not None and iops > most_ios:
            raise UsageError(f"{self._words(size_gb)} does at most {int(most_ios)} IOPS", iops)
        most_bytes = self.throughput.ceiling(size_gb)
        if most_bytes is not None and throughput_mbps * 2**20 > most_bytes:
            raise UsageError(
                f"{self._words(size_gb)} does at most {int(most_bytes / 2**20)} MiB/s",
                throughput_mbps,
            )

    def free(self, dimension: str) -> Decimal:
        """Return how much "iops" or "throughput" (MiB/s) needs no price of its own."""
        if dimension == "iops":
            limit, unit = self.iops, 1
        else:
            limit, unit = self.throughput, 2**20
        if not limit.provisioned:
            return Decimal("Infinity")
        return (limit.included or Decimal(0)) / unit

    def _words(self, size_gb: Decimal) -> str:
        return f"{self.sku} of {size_gb.normalize():f} GB"

    def most_bytes(self, size_gb: Decimal, ios: Decimal | None) -> Decimal | None:
        """Return the most bytes per second at that many I/Os, None where unknown."""
        highest = self.throughput.ceiling(size_gb)
        if not self.throughput.provisioned or self.throughput_per_iops is None or ios is None:
            return highest
        by_ios = max(self.throughput_per_iops * ios, self.throughput.included or Decimal(0))
        return _least(by_ios, highest)

    def _given_bytes(self, size_gb: Decimal, ios: Decimal | None) -> Decimal | None:
        if self.throughput.provisioned or self.throughput_per_iops is None:
            return self.throughput.given(size_gb)
        by_ios = None if ios is None else self.throughput_per_iops * ios
        known = [value for value in (by_ios, self.throughput.included) if value is not None]
        return _least(max(known), self.throughput.most) if known else None

    def _size(self, size_gb: Decimal | float) -> Decimal:
        size = Decimal(str(size_gb))
        if self.size_max_gib is not None and size > self.size_max_gib:
            raise UsageError(f"{self.sku} has at most {self.size_max_gib:f} GB", size_gb)
        return size


def _least(*values: Decimal | None) -> Decimal | None:
    return min((value for value in values if value is not None), default=None)


def _whole(value: Decimal | None) -> int | None:
    return None if value is None else max(1, int(value))


def _words(ios: Decimal | None) -> str:
    return "no IOPS ordered" if ios is None else f"{ios.normalize():f} IOPS"


def _limit(row: dict[str, str], name: str, unit: int, provisioned: bool) -> Limit:
    def value(column: str) -> Decimal | None:
        found = amount(row[column]) if column in row else None
        return None if found is None else found * unit

    included, most = value(f"{name}_included"), value(f"{name}_max")
    if included is not None and most is not None and included > most:
        raise ValueError(f"{name}_included must not be more than {name}_max")
    return Limit(
        provisioned,
        included,
        value(f"{name}_per_gib"),
        most,
        value(f"{name}_max_per_gib"),
        value(f"{name}_burst"),
    )


def _volume(row: dict[str, str]) -> VolumeType:
    if row["tier"] not in TIERS:
        raise ValueError(f"tier must be one of {', '.join(TIERS)}")
    if row["provisioned"] not in _PROVISIONED:
        raise ValueError("provisioned must be empty, 'iops' or 'iops throughput'")
    if row["throughput_unit"] not in _BYTES:
        raise ValueError(f"throughput_unit must be one of {', '.join(_BYTES)}")
    unit = _BYTES[row["throughput_unit"]]
    per_iops = amount(row["throughput_per_iops"])
    return VolumeType(
        sku=f"{row['provider']}/{row['region']}/{row['sku']}",
        tier=row["tier"],
        size_max_gib=amount(row["size_max_gib"]),
        iops=_limit(row, "iops", 1, "iops" in row["provisioned"]),
        throughput=_limit(row, "throughput", unit, "throughput" in row["provisioned"]),
        throughput_per_iops=None if per_iops is None else per_iops * unit,
        source=row["source"],
        source_date=date.fromisoformat(row["source_date"]),
        confidence=catalogfile.confidence(row["confidence"]),
    )


def read_volume_types(folder: Path) -> tuple[VolumeType, ...]:
    """Return the volume types of every CSV in `folder`, in the order of the files."""
    return tuple(
        volume
        for path in sorted(folder.glob("*.csv"))
        for volume in catalogfile.read(path, COLUMNS, _volume, "a volume's limit")
    )


@cache
def volume_types() -> tuple[VolumeType, ...]:
    """Return every volume type whose limits are known; not each of them has a price."""
    return read_volume_types(resources.folder("costmodels") / "limits")


def volume_type(sku: str) -> VolumeType | None:
    """Return the volume type of a sku, None where its limits are not known."""
    return next((volume for volume in volume_types() if volume.sku == sku), None)
