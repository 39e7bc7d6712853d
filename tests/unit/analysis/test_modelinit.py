"""A first model of what was seen: valid as it is, whatever the host is called or holds."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stackledger import store
from stackledger.analysis.costmodel import CostModel, price_model
from stackledger.analysis.modelinit import (
    PROVIDERS,
    Seen,
    SeenInterface,
    SeenVolume,
    observe,
    propose,
)
from stackledger.analysis.pricecatalog import load_catalog
from stackledger.errors import UsageError
from stackledger.report import modeltext

if TYPE_CHECKING:
    from tests.conftest import Replayed

GIB = 2**30
DISK = SeenVolume("vda", 256 * GIB, 737, Decimal(131), Decimal(943 * 1024))
SEEN = Seen(
    capture="demo",
    host="db-1",
    cpus=2,
    memory_bytes=8 * GIB - 200 * 2**20,
    arch="x86_64",
    disks=(DISK,),
    interfaces=(SeenInterface("eth0", 3 * GIB, 5 * GIB),),
)


def page(seen: Seen, provider: str = "aws") -> str:
    return modeltext.text(propose(seen, provider, load_catalog()), date(2026, 11, 23))


def model(seen: Seen, provider: str = "aws") -> CostModel:
    return price_model(page(seen, provider), Path("first.toml"), today=date(2026, 11, 23))


def test_what_the_recording_saw(replayed: Replayed) -> None:
    found = store.find("last", replayed.store)
    with store.connect(found) as connection:
        seen = observe(connection, found.manifest)
        counted: Any = connection.execute(
            "SELECT SUM(reads + writes) FROM host_disk WHERE disk = 'vda'"
        ).fetchone()
    assert (seen.host, seen.cpus) == ("demo", 2)
    (disk,) = seen.disks  # the loop devices are no whole disks
    assert (disk.name, disk.size_bytes, disk.ios) == ("vda", 256 * GIB, counted[0])
    assert disk.peak_ios is not None
    assert 0 < disk.peak_ios < counted[0]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_first_model_is_valid_and_names_the_host_and_its_disks(provider: str) -> None:
    first = model(SEEN, provider)
    assert [node.spec.match.host for node in first.nodes] == ["db-1"]
    assert [(d.spec.match.device, d.spec.size_gb) for d in first.disks] == [("vda", 256)]
    assert [network.spec.class_ for network in first.networks] == ["private", "internet"]
    assert first.networks[1].spec.cidr == ()
    assert "CHOOSE" in page(SEEN, provider)
    assert "eth0, 3.00 GiB in, 5.00 GiB out" in page(SEEN, provider)


@pytest.mark.parametrize(
    ("cpus", "gib", "arch", "sku"),
    [
        (2, 7.8, "x86_64", "m6i.large"),
        (2, 3.8, "x86_64", "c7i.large"),
        (2, 7.8, "aarch64", "m7g.large"),
        (2, 23.5, "x86_64", "r6i.xlarge"),
        (8, 60, "x86_64", "r6i.2xlarge"),
        (16, 60, "x86_64", None),
    ],
)
def test_the_machine_proposed_holds_the_host(
    cpus: int, gib: float, arch: str, sku: str | None
) -> None:
    seen = replace(SEEN, cpus=cpus, memory_bytes=int(gib * GIB), arch=arch)
    (node,) = model(seen).nodes
    assert node.spec.sku == (f"aws/us-east-1/{sku}" if sku else "")
    assert node.overridden is (sku is None)
    assert node.spec.vcpu == cpus


def test_a_busy_disk_gets_what_its_busiest_second_asked_for() -> None:
    busy = replace(DISK, peak_ios=Decimal(5432), peak_bytes=Decimal(300 * 2**20))
    (disk,) = model(replace(SEEN, disks=(busy,))).disks
    assert (disk.iops, disk.throughput_bytes) == (5500, 300 * 2**20)
    (calm,) = model(SEEN).disks
    assert (calm.iops, calm.throughput_bytes) == (3000, 125 * 2**20)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "disk",
    [
        SeenVolume("nvme0n1", 100 * 2**40, 1, Decimal(9_000_000), Decimal(2**40)),
        SeenVolume("tiny", 4096, 10**9, Decimal(9_000_000), Decimal(2**40)),
        SeenVolume("unused", GIB, 0, Decimal(0), Decimal(0)),
        SeenVolume("uncounted", GIB, None, None, None),
        SeenVolume("cciss!c0d0", 0, 1, Decimal(1), Decimal(1)),
    ],
)
def test_any_disk_gives_a_valid_model(provider: str, disk: SeenVolume) -> None:
    (priced,) = model(replace(SEEN, disks=(disk,)), provider).disks
    assert priced.spec.size_gb >= 1
    assert priced.spec.size_gb * GIB >= disk.size_bytes


@pytest.mark.parametrize(
    "name", ['a"b', "a\nb = 1", "a\\", "#x", "db[1]*?", "\x1b[31mred", "ä\u202e", "\x7f", "😀", ""]
)
def test_a_hostile_name_stays_a_name(name: str) -> None:
    seen = replace(
        SEEN,
        host=name,
        capture=name,
        arch=name,
        disks=(replace(DISK, name=name),),
        interfaces=(SeenInterface(name, 1, 1),),
    )
    for provider in PROVIDERS:
        text = page(seen, provider)
        assert not any(ord(one) < 32 and one != "\n" for one in text)
        tables = tomllib.loads(text)
        assert len(tables["node"]) == len(tables["disk"]) == 1
        first = model(seen, provider)
        assert fnmatchcase(name, first.nodes[0].spec.match.host)
        assert fnmatchcase(name, first.disks[0].spec.match.device)


def test_no_disk_and_no_traffic() -> None:
    first = model(replace(SEEN, disks=(), interfaces=()))
    assert first.disks == ()
    assert "no traffic that left the host" in page(replace(SEEN, interfaces=()))


def test_a_provider_that_is_not_known() -> None:
    with pytest.raises(UsageError) as caught:
        propose(SEEN, "asw", load_catalog())
    assert caught.value.hint == "did you mean aws?"
