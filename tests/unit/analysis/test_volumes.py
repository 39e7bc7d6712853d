"""Volume types: limits by size and order, and one clear line for a wrong file."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from stackledger.analysis.pricecatalog import load_catalog
from stackledger.analysis.volumes import (
    COLUMNS,
    TIERS,
    VolumeType,
    read_volume_types,
    volume_type,
    volume_types,
)
from stackledger.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

MIB = 2**20


def named(sku: str) -> VolumeType:
    found = volume_type(sku)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("sku", "ordered", "expected"),
    [
        ("aws/us-east-1/gp3", (500,), (3000, 125 * MIB)),
        ("aws/us-east-1/gp3", (500, 6000, 250), (6000, 250 * MIB)),
        ("aws/us-east-1/gp2", (20,), (100, 250 * MIB)),  # never below 100
        ("aws/us-east-1/gp2", (500,), (1500, 250 * MIB)),
        ("aws/us-east-1/gp2", (10_000,), (16_000, 250 * MIB)),
        ("aws/us-east-1/io1", (1280, 2000), (2000, 500 * MIB)),
        ("aws/us-east-1/io1", (1280, 64_000), (64_000, 1000 * MIB)),
        ("aws/us-east-1/io2", (500,), (None, None)),  # nothing ordered, nothing included
        ("aws/us-east-1/io2", (500, 3000), (3000, 768 * MIB)),
        ("aws/us-east-1/io2", (500, 100_000), (100_000, 4000 * MIB)),
        ("aws/us-east-1/st1", (1024,), (40, 40 * MIB)),
        ("aws/us-east-1/sc1", (16_384,), (192, 192 * MIB)),
        ("gcp/us-central1/pd-standard", (1000,), (750, 120 * MIB)),
        ("gcp/us-central1/pd-balanced", (500,), (3000, 140 * MIB)),
        ("gcp/us-central1/pd-ssd", (10_000,), (100_000, 1200 * MIB)),
        ("gcp/us-central1/hyperdisk-extreme", (100, 10_000), (10_000, 2500 * MIB)),
        ("azure/eastus/standard-ssd-e30", (1024,), (500, 60_000_000)),
        ("azure/eastus/premium-ssd-p4", (32,), (120, 25_000_000)),
        ("azure/eastus/ultra-disk", (1024, 5000, 200), (5000, 200 * MIB)),
    ],
)
def test_limits(
    sku: str, ordered: tuple[int, ...], expected: tuple[int | None, int | None]
) -> None:
    assert named(sku).limits(*ordered) == expected


def test_the_order_of_a_type_that_follows_its_size_changes_nothing() -> None:
    gp2 = named("aws/us-east-1/gp2")
    assert gp2.limits(500, 9000, 1000) == gp2.limits(500)


@pytest.mark.parametrize(
    ("sku", "ordered", "message"),
    [
        ("aws/us-east-1/gp3", (500, 80_001), "at most 80000 IOPS: 80001"),
        ("aws/us-east-1/gp3", (10, 5001), "gp3 of 10 GB can have at most 5000 IOPS"),
        ("aws/us-east-1/gp3", (500, 3000, 751), "with 3000 IOPS can have at most 750 MiB/s: 751"),
        ("aws/us-east-1/io1", (10, 501), "at most 500 IOPS"),
        ("aws/us-east-1/gp2", (16_385,), "at most 16384 GB"),
        ("azure/eastus/standard-ssd-e30", (1025,), "at most 1024 GB"),
    ],
)
def test_an_order_beyond_the_type_is_refused(
    sku: str, ordered: tuple[int, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        named(sku).limits(*ordered)


def test_a_small_volume_may_have_what_is_included() -> None:
    assert named("aws/us-east-1/gp3").limits(1, 3000) == (3000, 125 * MIB)


@pytest.mark.parametrize(
    ("sku", "size", "burst"),
    [("aws/us-east-1/gp2", 500, 3000), ("azure/eastus/premium-ssd-p4", 32, 3500)],
)
def test_burst_is_above_what_is_sustained(sku: str, size: int, burst: int) -> None:
    volume = named(sku)
    sustained, _ = volume.limits(size)
    assert sustained is not None
    assert volume.iops.ceiling(Decimal(size)) == burst > sustained


def test_every_provider_has_every_tier_and_each_row_a_source() -> None:
    found = {(volume.sku.split("/")[0], volume.tier) for volume in volume_types()}
    assert found == {(who, tier) for who in ("aws", "gcp", "azure") for tier in TIERS}
    assert all(volume.source for volume in volume_types())
    assert len({volume.sku for volume in volume_types()}) == len(volume_types())


def test_every_block_volume_of_the_catalogue_has_its_limits() -> None:
    """Managed databases' storage and disks inside a machine are no volumes to choose."""
    priced = set(load_catalog().skus("capacity"))
    assert priced - {volume.sku for volume in volume_types()} == {
        "aws/us-east-1/rds-gp2",
        "aws/us-east-1/rds-io1",
        "gcp/us-central1/local-ssd",
    }


def test_sizes_sold_are_the_prices_sizes() -> None:
    catalog = load_catalog()
    for volume in volume_types():
        for price in catalog.tiers(volume.sku, "capacity"):
            if price.unit == "disk-month":
                assert price.tier_end == volume.size_max_gib


GOOD = "aws,r,s,standard,,,1,,2,,,MiB/s,,,,,,w,2026-01-01,verified"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (GOOD.replace("standard", "cheap"), ":2: tier must be one of standard, premium, ultra"),
        (GOOD.replace(",,,1,", ",,io,1,"), ":2: provisioned must be"),
        (GOOD.replace("MiB/s", "Mb"), ":2: throughput_unit must be"),
        (GOOD.replace(",1,,2", ",-1,,2"), ":2: an amount must not be negative: -1"),
        (GOOD.replace(",1,,2", ",3,,2"), ":2: iops_included must not be more than iops_max"),
        (GOOD.replace(",1,,2", ",x,,2"), "not a decimal number: .*:2"),
        (GOOD.replace("verified", "sure"), ":2: confidence must be"),
    ],
)
def test_a_fault_names_its_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "limits.csv"
    path.write_text(f"{','.join(COLUMNS)}\n{GOOD}\n", encoding="utf-8")
    assert len(read_volume_types(tmp_path)) == 1
    path.write_text(f"{','.join(COLUMNS)}\n{line}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_volume_types(tmp_path)
