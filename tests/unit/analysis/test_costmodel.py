"""Cost models and the catalogue: real prices in, one clear line for every fault."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from stackledger import resources
from stackledger.analysis.bill import REFERENCE_SHAPES, unit_prices
from stackledger.analysis.costmodel import load_model, price_disk
from stackledger.analysis.modelfile import DeviceMatch, Disk
from stackledger.analysis.pricecatalog import COLUMNS, load_catalog
from stackledger.errors import StackledgerError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

MODELS = ("aws-us-east-1", "azure-eastus", "gcp-us-central1")
AWS = resources.folder("costmodels") / "aws-us-east-1.toml"


def disk(sku: str, size_gb: int, iops: int = 0, throughput_mbps: int = 0) -> Disk:
    match = DeviceMatch(host="*", device="*")
    return Disk(match, sku, Decimal(size_gb), iops, Decimal(throughput_mbps))


def written(folder: Path, old: str, new: str) -> Path:
    """Return the AWS model with one text replaced, as a file of its own."""
    text = AWS.read_text(encoding="utf-8")
    assert old in text
    path = folder / "mine.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", MODELS)
def test_packaged_models_load_and_match_any_host_and_disk(name: str) -> None:
    model = load_model(name)
    assert model.name == name
    assert [node.spec.match.host for node in model.nodes] == ["*"]
    assert [(d.spec.match.host, d.spec.match.device) for d in model.disks] == [("*", "*")]
    assert all(price.confidence != "conflicting" for d in model.disks for price in d.prices)


@pytest.mark.parametrize("name", ["azure-eastus", "gcp-us-central1"])
def test_node_price_that_could_not_be_sourced_is_the_users_own(name: str) -> None:
    (node,) = load_model(name).nodes
    assert node.overridden
    assert node.prices == ()
    assert node.monthly_usd == Decimal("73.00")


def test_aws_node_price_is_the_hourly_list_price() -> None:
    (node,) = load_model("aws-us-east-1").nodes
    assert not node.overridden
    assert node.monthly_usd == Decimal("0.0960") * 730


@pytest.mark.parametrize(
    ("name", "sku"),
    [
        ("aws-us-east-1", "aws/us-east-1/cross-zone"),
        ("gcp-us-central1", "gcp/us-central1/internet-egress"),
    ],
)
def test_network_price_of_the_models_is_the_catalogues(name: str, sku: str) -> None:
    (network,) = load_model(name).file.network
    assert network.price_per_gb == load_catalog().tiers(sku, "transfer")[0].price


def test_worked_check_of_the_design() -> None:
    """500 GB at 3000 IOPS and 125 MB/s: $40.00 on gp3, $257.50 on io2, 6.4 times."""
    catalog = load_catalog()
    gp3 = price_disk(disk("aws/us-east-1/gp3", 500, 3000, 125), catalog).monthly_usd
    io2 = price_disk(disk("aws/us-east-1/io2", 500, 3000, 125), catalog).monthly_usd
    assert (gp3, io2) == (Decimal("40.00"), Decimal("257.50"))
    assert round(io2 / gp3, 1) == Decimal("6.4")


@pytest.mark.parametrize(
    ("priced", "monthly"),
    [
        (disk("aws/us-east-1/gp3", 500, 6000, 250), "60.00"),  # 40 + 3000*.005 + 125*.04
        (disk("aws/us-east-1/gp3", 500), "40.00"),
        (disk("aws/us-east-1/gp2", 500, 1500, 250), "50.00"),
        (disk("aws/us-east-1/io1", 100, 1000), "77.500"),
        (disk("gcp/us-central1/pd-extreme", 100, 1000), "77.500"),
        (disk("gcp/us-central1/pd-balanced", 500, 3000, 140), "50.00"),
        (disk("azure/eastus/standard-ssd-e30", 1024), "76.80"),
        (disk("azure/eastus/standard-ssd-e30", 300), "76.80"),  # sold whole
        (disk("azure/eastus/premium-ssd-p4", 32), "5.28"),
        (disk("azure/eastus/ultra-disk", 1024, 5000, 200), "440.5728"),
    ],
)
def test_disk_prices(priced: Disk, monthly: str) -> None:
    assert price_disk(priced, load_catalog()).monthly_usd == Decimal(monthly)


def test_a_step_is_not_sold_beyond_its_size() -> None:
    with pytest.raises(UsageError, match="no capacity price above 32"):
        price_disk(disk("azure/eastus/premium-ssd-p4", 33), load_catalog())


def test_traffic_is_priced_tier_by_tier(tmp_path: Path) -> None:
    path = written(tmp_path, "price_per_gb = 0.01", 'sku = "aws/us-east-1/internet-egress"')
    (network,) = load_model(path).networks
    assert network.cost_usd(Decimal(0)) == 0
    assert network.cost_usd(Decimal(10_240)) == Decimal("921.60")
    assert network.cost_usd(Decimal(20_480)) == Decimal("921.60") + 10_240 * Decimal("0.085")
    path = written(tmp_path, "price_per_gb = 0.01", 'sku = "aws/us-east-1/internet"')
    with pytest.raises(UsageError, match=r":29: no transfer price .*: aws/us-east-1/internet"):
        load_model(path)


def test_traffic_classes_name_their_addresses(tmp_path: Path) -> None:
    path = written(tmp_path, 'charged = "both" ', 'cidr = ["10.0.0.0/8", "fd00::/8"] ')
    (network,) = load_model(path).file.network
    assert network.cidr == ("10.0.0.0/8", "fd00::/8")


def test_limits_come_from_the_model_else_from_what_is_included() -> None:
    catalog = load_catalog()
    included = price_disk(disk("aws/us-east-1/gp3", 500), catalog)
    assert (included.iops, included.throughput_bytes) == (3000, 125 * 2**20)
    by_size = price_disk(disk("gcp/us-central1/pd-ssd", 500), catalog)
    assert (by_size.iops, by_size.throughput_bytes) == (15_000, 240 * 2**20)
    told = price_disk(disk("gcp/us-central1/pd-ssd", 500, 4000), catalog)  # a small machine's
    assert (told.iops, told.throughput_bytes) == (4000, 240 * 2**20)
    unknown = price_disk(disk("gcp/us-central1/local-ssd", 500), catalog)
    assert (unknown.iops, unknown.throughput_bytes) == (None, None)


def test_a_disk_that_each_operation_is_charged_for_says_its_price() -> None:
    priced = price_disk(disk("azure/eastus/standard-ssd-e30", 1024), load_catalog())
    assert priced.operation_usd * 10_000 == Decimal("0.002")
    assert "operations" in {price.dimension for price in priced.prices}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (disk("aws/us-east-1/gp2", 500, 3001), "gp2 of 500 GB does at most 3000 IOPS: 3001"),
        (disk("aws/us-east-1/gp2", 500, 0, 251), "no throughput price above 250: 251"),
        (disk("aws/us-east-1/gp3", 10, 6000), "at most 5000 IOPS: 6000"),
        (disk("gcp/us-central1/hyperdisk-balanced", 500, 5000), "no iops price for sku"),
    ],
)
def test_a_disk_cannot_be_more_than_its_type(wrong: Disk, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        price_disk(wrong, load_catalog())


def test_memory_is_a_sensible_part_of_a_node() -> None:
    """The regression reproduces each of its three prices within 5 %."""
    catalog = load_catalog()
    per_vcpu, per_gib = unit_prices(catalog)
    assert 0 < per_gib < per_vcpu
    for sku, (vcpu, gib) in REFERENCE_SHAPES.items():
        price = catalog.tiers(sku, "instance")[0].price
        assert abs(per_vcpu * vcpu + per_gib * gib - price) < price * Decimal("0.05")


def test_every_catalogue_price_is_sourced() -> None:
    prices = load_catalog().prices
    assert len({price.price_id for price in prices}) == len(prices)
    assert all(price.source and price.currency == "USD" for price in prices)
    conflicting = {price.sku for price in prices if price.confidence == "conflicting"}
    assert conflicting == {"gcp/us-central1/hyperdisk-balanced"}


FAULTS = [
    ("vcpu = 2", "vcpus = 2", 13, "node[0].vcpus: unknown field", "did you mean vcpu?"),
    ("speed_index = 1.00", "speed_index = -1", 15, "must be more than 0, not -1", None),
    ("price_per_gb = 0.01", "price_per_gb = -0.01", 29, "must be 0 or more, not -0.01", None),
    ("price_per_gb = 0.01", 'price_per_gb = "x"', 29, "expected a number", None),
    ("price_per_gb = 0.01", "price_per_gb = nan", 29, "must be 0 or more", None),
    ("price_per_gb = 0.01", "price_per_gb = 1e30", 29, "must be at most", None),
    ("price_per_gb = 0.01", "", 27, "network[0].price_per_gb: either this or sku", None),
    ('charged = "both" ', 'sku = "aws/us-east-1/nat-gateway" ', 29, "either this or sku", None),
    ('charged = "both" ', 'cidr = ["10.0.0.1/8"] ', 30, "network[0].cidr: 10.0.0.1/8 has", None),
    ('charged = "both" ', 'cidr = "10.0.0.0/8" ', 30, "expected a list of texts", None),
    ("vcpu = 2 ", "vcpu = 2.5 ", 13, "expected a whole number", None),
    ("memory_gib = 8", "memory_gib = true", 14, "expected a number, got bool", None),
    ('device = "*"', "device = 3", 19, "disk[0].match.device: expected a text", None),
    ('{ host = "*" }', '{ hots = "*" }', 11, "node[0].match.hots", "did you mean host?"),
    ("[[node]]", "[node]", 10, "each under its own [[name]]", None),
    ("[policy]", "[polcy]", 32, "polcy: unknown field", "did you mean policy?"),
    ('idle = "per_resource_proportional"', 'idle = "never"', 33, "'never'", "even, per_resource"),
    ('currency = "USD"', 'currency = "euro"', 7, "currency: must be an ISO 4217 code", None),
    ('currency = "USD"', 'currency = "EUR"', 12, "is in USD, the model's currency", "[[price]]"),
    ('"cost-model/1"', '"cost-model/2"', 6, "'cost-model/2'", "accepted: cost-model/1"),
    ("m6i.large", "m6i.lrge", 12, "m6i.lrge", "did you mean aws/us-east-1/m6i.large?"),
    ("aws/us-east-1/gp3", "aws/us-east-1/gp33", 20, "gp33", "did you mean aws/us-east-1/gp3?"),
    ("aws/us-east-1/m6i.large", "", 12, "needs a sku or a monthly_override", None),
    ("iops = 3000", "iops = 100000", 20, "no iops price above 80000", None),
]


@pytest.mark.parametrize(("old", "new", "line", "message", "hint"), FAULTS)
def test_a_fault_names_file_line_and_what_is_accepted(
    tmp_path: Path, old: str, new: str, line: int, message: str, hint: str | None
) -> None:
    path = written(tmp_path, old, new)
    with pytest.raises(UsageError) as caught:
        load_model(path)
    said = str(caught.value)
    assert f"{path}:{line}: " in said
    assert message in said
    assert "\n" not in said
    if hint is not None:
        assert hint in (caught.value.hint or "")


def test_a_second_table_is_found_on_its_own_line(tmp_path: Path) -> None:
    path = written(tmp_path, "[policy]", '[[disk]]\nmatch = { host = "*" }\n\n[policy]')
    with pytest.raises(UsageError, match=rf"{path}:33: disk\[1\]\.match\.device: missing"):
        load_model(path)


def test_not_toml(tmp_path: Path) -> None:
    path = written(tmp_path, "size_gb = 500", "size_gb =")
    with pytest.raises(UsageError, match=r"not TOML.*at line 21, column 10"):
        load_model(path)


def test_missing_file_names_the_nearest_model() -> None:
    with pytest.raises(UsageError) as caught:
        load_model("aws-us-est-1")
    assert caught.value.hint == "did you mean aws-us-east-1?"
    with pytest.raises(UsageError) as caught:
        load_model("zzz")
    assert "aws-us-east-1, azure-eastus, gcp-us-central1" in (caught.value.hint or "")


def test_a_folder_and_bytes_are_not_models(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a file"):
        load_model(tmp_path)
    garbage = tmp_path / "garbage.toml"
    garbage.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StackledgerError, match="cannot read"):
        load_model(garbage)


def test_conflicting_price_is_refused_unless_asked(tmp_path: Path) -> None:
    path = written(tmp_path, "aws/us-east-1/gp3", "gcp/us-central1/hyperdisk-balanced")
    with pytest.raises(UsageError, match="sources disagree"):
        load_model(path)
    (priced,) = load_model(path, allow_conflicting=True).disks
    assert priced.capacity_usd == 500 * Decimal("0.10")  # the highest of 0.06 and 0.10


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x,aws,r,s,instance,hour,0,,-1,USD,on_demand,w,2026-01-01,verified", ":2: .*negative"),
        ("x,aws,r,s,instance,hour,0,,abc,USD,on_demand,w,2026-01-01,verified", ":2"),
        ("x,aws,r,s,instance,hour,0,,1,USD,on_demand,w,2026-13-01,verified", ":2: "),
        ("x,aws,r,s,instance,hour,0,,1,USD,on_demand,w,2026-01-01,sure", ":2: confidence"),
        ("x,aws,r,s,instance,hour,9,8,1,USD,on_demand,w,2026-01-01,verified", ":2: tier_end"),
        ("x,aws", ":2: expected 14 fields"),
    ],
)
def test_a_fault_in_the_catalogue_names_its_line(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "p.csv").write_text(f"{','.join(COLUMNS)}\n{line}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        load_catalog(tmp_path)


def test_a_catalogue_needs_its_columns_and_a_price(tmp_path: Path) -> None:
    with pytest.raises(StackledgerError, match="empty"):
        load_catalog(tmp_path)
    (tmp_path / "p.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UsageError, match="wrong columns"):
        load_catalog(tmp_path)
