"""Proposes a first cost model from what a capture saw: the host, its disks, its interfaces."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from stackledger.analysis.volumes import volume_type
from stackledger.errors import UsageError, nearest

if TYPE_CHECKING:
    import duckdb

    from stackledger.analysis.pricecatalog import Catalog
    from stackledger.manifest import Manifest

# The relations of a capture that `observe` reads.
READS = frozenset(("disk", "host_disk", "host_net"))

# Region, the volume proposed first, and the traffic skus of private and other addresses.
PROVIDERS: dict[str, tuple[str, str, str, str]] = {
    "aws": ("aws/us-east-1", "gp3", "cross-zone", "internet-egress"),
    "gcp": ("gcp/us-central1", "pd-balanced", "", "internet-egress"),
    "azure": ("azure/eastus", "ultra-disk", "", ""),
    "onprem": ("onprem", "", "", ""),
}
_SIZES = {"large": 2, "xlarge": 4, "2xlarge": 8}
_GIB_PER_CPU = {"c": 2, "m": 4, "r": 8}
_INSTANCE = re.compile(r"^([cmr])\d+([a-z]*)\.(large|xlarge|2xlarge)$")
_GIB, _MIB = 2**30, 2**20


@dataclass(frozen=True, slots=True)
class SeenVolume:
    """A whole disk: its size, and its busiest second; None where nobody counted."""

    name: str
    size_bytes: int
    ios: int | None
    peak_ios: Decimal | None
    peak_bytes: Decimal | None


@dataclass(frozen=True, slots=True)
class SeenInterface:
    """A network interface and its bytes in the capture."""

    name: str
    recv_bytes: int
    send_bytes: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model needs to know of a captured host."""

    capture: str
    host: str
    cpus: int
    memory_bytes: int
    arch: str
    disks: tuple[SeenVolume, ...]
    interfaces: tuple[SeenInterface, ...]


@dataclass(frozen=True, slots=True)
class ProposedDisk:
    """A volume to start from; `iops` and `throughput_mbps` None for what is included."""

    seen: SeenVolume
    sku: str
    size_gb: int
    iops: int | None
    throughput_mbps: int | None
    own_price: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """A first model: `node_sku` None where the catalogue holds no machine that fits."""

    seen: Seen
    provider: str
    node_sku: str | None
    disks: tuple[ProposedDisk, ...]
    private_sku: str | None
    internet_sku: str | None


def observe(connection: duckdb.DuckDBPyConnection, told: Manifest) -> Seen:
    """Return what the capture saw; a second shorter than half of one is no peak."""
    disks = connection.execute(
        """
        SELECT
          d.name,
          d.size_bytes,
          SUM(h.reads + h.writes)::BIGINT AS ios,
          MAX((h.reads + h.writes) * 1000000000 // h.interval_ns)
            FILTER (WHERE h.interval_ns > 500000000) AS peak_ios,
          MAX((h.read_bytes + h.write_bytes) * 1000000000::HUGEINT // h.interval_ns)
            FILTER (WHERE h.interval_ns > 500000000) AS peak_bytes
        FROM disk AS d
        LEFT JOIN host_disk AS h USING (dev)
        GROUP BY d.name, d.size_bytes
        ORDER BY d.name
        """
    ).fetchall()
    interfaces = connection.execute(
        """
        SELECT interface, SUM(recv_bytes)::BIGINT, SUM(send_bytes)::BIGINT
        FROM host_net
        WHERE interface <> 'lo'
        GROUP BY interface
        HAVING SUM(recv_bytes + send_bytes) > 0
        ORDER BY interface
        """
    ).fetchall()
    return Seen(
        capture=told.name or told.id,
        host=told.host,
        cpus=told.machine.cpus,
        memory_bytes=told.machine.memory_bytes,
        arch=told.machine.arch,
        disks=tuple(
            SeenVolume(name, size, ios, _decimal(peak), _decimal(rate))
            for name, size, ios, peak, rate in disks
        ),
        interfaces=tuple(SeenInterface(*row) for row in interfaces),
    )


def propose(seen: Seen, provider: str, catalog: Catalog) -> Proposal:
    """Return a first model at the provider's prices; raises UsageError for an unknown one."""
    if provider not in PROVIDERS:
        hint = nearest(provider, PROVIDERS) or f"accepted: {', '.join(PROVIDERS)}"
        raise UsageError("no such provider", provider, hint=hint)
    region, volume, private, internet = PROVIDERS[provider]
    return Proposal(
        seen=seen,
        provider=provider,
        node_sku=_machine(seen, region, catalog),
        disks=tuple(_volume(disk, region, volume) for disk in seen.disks),
        private_sku=f"{region}/{private}" if private else None,
        internet_sku=f"{region}/{internet}" if internet else None,
    )


def _machine(seen: Seen, region: str, catalog: Catalog) -> str | None:
    """Return the cheapest machine of the catalogue with so many CPUs and so much memory."""
    arm = seen.arch in ("aarch64", "arm64")
    fitting = []
    for sku in catalog.skus("instance"):
        shape = _INSTANCE.match(sku.removeprefix(f"{region}/"))
        if not shape:
            continue
        family, kind, size = shape.groups()
        cpus = _SIZES[size]
        # A little of a machine's memory is the firmware's: the kernel sees less.
        holds = cpus * _GIB_PER_CPU[family] * _GIB >= seen.memory_bytes
        if cpus >= seen.cpus and holds and ("g" in kind) == arm:
            fitting.append((catalog.tiers(sku, "instance")[0].price, sku))
    return min(fitting)[1] if fitting else None


def _volume(seen: SeenVolume, region: str, name: str) -> ProposedDisk:
    """Return the volume that holds the disk and what it did in its busiest second."""
    size_gb = max(1, _up(Decimal(seen.size_bytes) / _GIB, 1))
    sku = f"{region}/{name}"
    volume = volume_type(sku)
    if volume is None or (volume.size_max_gib is not None and size_gb > volume.size_max_gib):
        return ProposedDisk(seen, f"onprem/{_plain(seen.name)}", size_gb, None, None, True)
    size = Decimal(size_gb)
    iops = throughput = None
    if volume.iops.provisioned:
        wanted = Decimal(_up(seen.peak_ios or Decimal(0), 100))
        if wanted > (volume.iops.included or 0):
            most = volume.iops.ceiling(size)
            iops = int(wanted if most is None else min(wanted, most))
    if volume.throughput.provisioned:
        wanted = Decimal(_up((seen.peak_bytes or Decimal(0)) / _MIB, 1))
        if wanted > volume.free("throughput"):
            ios = Decimal(iops) if iops else volume.iops.given(size)
            limit = volume.most_bytes(size, ios)
            throughput = int(wanted if limit is None else min(wanted, limit // _MIB))
    return ProposedDisk(seen, sku, size_gb, iops, throughput, False)


def _decimal(number: int | float | None) -> Decimal | None:
    return None if number is None else Decimal(int(number))


def _up(number: Decimal, step: int) -> int:
    return int((number / step).to_integral_value(ROUND_CEILING)) * step


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name) or "disk"
