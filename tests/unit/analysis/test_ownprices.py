"""Prices of one's own, their currency and age, and rules of a model that contradict each other."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from stackledger import resources
from stackledger.analysis.bill import unit_prices
from stackledger.analysis.costmodel import load_model, price_disk, price_model
from stackledger.analysis.modelfile import DeviceMatch, Dimension, Disk
from stackledger.analysis.modelrules import covers
from stackledger.analysis.modelschema import json_schema
from stackledger.analysis.pricecatalog import UNITS, load_catalog
from stackledger.errors import UsageError

HEAD = """\
schema = "cost-model/1"
currency = "{currency}"
[[node]]
match = {{ host = "*" }}
{node}
[[disk]]
match = {{ host = "*", device = "*" }}
sku = "{disk}"
size_gb = 100
{rest}
"""
RACK = """\
[[price]]
sku = "onprem/rack-7/ssd"
dimension = "capacity"
price = 0.02
date = 2026-03-01
reason = "depreciation over five years"
"""


def model(
    folder: Path,
    rest: str = "",
    *,
    currency: str = "USD",
    node: str = "monthly_override = 50",
    disk: str = "aws/us-east-1/gp3",
) -> Path:
    path = folder / "mine.toml"
    text = HEAD.format(currency=currency, node=node, disk=disk, rest=rest)
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path, **options: object) -> str:
    with pytest.raises(UsageError) as caught:
        load_model(path, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return f"{caught.value} | {caught.value.hint}"


def test_a_sku_of_ones_own_in_another_currency(tmp_path: Path) -> None:
    path = model(tmp_path, RACK, currency="EUR", disk="onprem/rack-7/ssd")
    (disk,) = load_model(path).disks
    assert disk.monthly_usd == Decimal("2.00")
    (price,) = disk.prices
    assert (price.currency, price.confidence) == ("EUR", "user")
    assert price.source == "depreciation over five years"
    assert price.source_date == date(2026, 3, 1)
    assert (disk.iops, disk.throughput_bytes) == (None, None)


def test_a_negotiated_price_wins_over_the_lists_and_in_this_model_alone(tmp_path: Path) -> None:
    rest = RACK.replace("onprem/rack-7/ssd", "aws/us-east-1/gp3")
    loaded = load_model(model(tmp_path, rest))
    (disk,) = loaded.disks
    assert disk.monthly_usd == Decimal("2.00")
    assert disk.iops == 3000  # its limits stay those of the type
    other = Disk(
        DeviceMatch("*", "*"), "aws/us-east-1/gp3", Decimal(100), 4000
    )  # the lists still price its IOPS
    assert price_disk(other, loaded.catalog).monthly_usd == Decimal("2.00") + 1000 * Decimal(
        "0.005"
    )
    assert price_disk(other, load_catalog()).capacity_usd == Decimal("8.00")


def test_a_node_by_the_month_and_traffic_by_tiers(tmp_path: Path) -> None:
    rest = """
[[network]]
class = "internet"
sku = "carrier"
[[price]]
sku = "r740"
dimension = "instance"
unit = "month"
price = 210.5
date = 2026-01-31
reason = "lease"
[[price]]
sku = "carrier"
dimension = "transfer"
tiers = [{ upto = 1000, price = 0 }, { price = 0.005 }]
date = 2026-01-31
reason = "contract 7"
"""
    loaded = load_model(model(tmp_path, rest, node='sku = "r740"'))
    assert loaded.nodes[0].monthly_usd == Decimal("210.5")
    assert not loaded.nodes[0].overridden
    assert loaded.networks[0].cost_usd(Decimal(1500)) == Decimal("2.500")


def test_a_price_of_ones_own_does_not_change_how_nodes_are_split(tmp_path: Path) -> None:
    rest = RACK.replace("onprem/rack-7/ssd", "aws/us-east-1/c7i.large").replace(
        '"capacity"', '"instance"'
    )
    assert unit_prices(load_model(model(tmp_path, rest)).catalog) == unit_prices(load_catalog())


def test_a_list_price_in_another_currency_is_refused(tmp_path: Path) -> None:
    said = refused(model(tmp_path, currency="EUR"))
    assert "mine.toml:8: the capacity price of aws/us-east-1/gp3 is in USD" in said
    assert "the model's currency is: EUR | give it in EUR: [[price]]" in said


@pytest.mark.parametrize(("days", "old"), [(100, True), (873, False), (872, True)])
def test_prices_older_than_allowed_are_refused(tmp_path: Path, days: int, old: bool) -> None:
    path, today = model(tmp_path), date(2026, 11, 21)  # 873 days after 2024-07-01
    if not old:
        load_model(path, max_price_age_days=days, today=today)
        return
    said = refused(path, max_price_age_days=days, today=today)
    assert "mine.toml:8: the capacity price of aws/us-east-1/gp3 is of 2024-07-01" in said
    assert f"older than {days} days: 873 days | raise --max-price-age" in said


def test_an_old_price_of_ones_own_is_refused_too(tmp_path: Path) -> None:
    path = model(tmp_path, RACK, disk="onprem/rack-7/ssd")
    assert "is of 2026-03-01" in refused(path, max_price_age_days=10, today=date(2026, 4, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("price = 0.02", "price = -0.02", ":13: price[0].price: must be 0 or more, not -0.02"),
        ("price = 0.02", "", ":10: price[0].price: either this or tiers is needed"),
        ("price = 0.02", "tiers = []", "either this or tiers is needed"),
        (
            "price = 0.02",
            "tiers = [{ price = 1 }, { price = 2 }]",
            ":13: price[0].tiers: each needs an upto",
        ),
        (
            "price = 0.02",
            "tiers = [{ upto = 5, price = 1 }, { upto = 5, price = 2 }]",
            "each needs an upto above the one before",
        ),
        ("price = 0.02", "tiers = [{ upto = 0, price = 1 }]", "upto: must be more than 0"),
        ('"capacity"', '"capasity"', ":12: price[0].dimension: unknown value 'capasity'"),
        ("date = 2026-03-01", 'date = "soon"', ":14: price[0].date: "),
        ("date = 2026-03-01", "date = 7", "expected a date, as 2026-11-23, got int"),
        ("date = 2026-03-01", "", ":10: price[0].date: missing"),
        ('reason = "depreciation over five years"', 'reason = " "', ":15: price[0].reason: must"),
        ("price = 0.02", 'price = 1\nunit = "hour"', "unit: capacity is priced by: GB-month"),
        ("onprem/rack-7/ssd", "", ":11: price[0].sku: must be a text"),
        (RACK, RACK + RACK, ":16: price[1]: the capacity price of onprem/rack-7/ssd already has"),
    ],
)
def test_a_wrong_price_names_line_and_field(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in RACK
    said = refused(model(tmp_path, RACK.replace(old, new)))
    assert message in said


NODE = '[[node]]\nmatch = {{ host = "{}" }}\nmonthly_override = 1\n'
DISK = (
    '[[disk]]\nmatch = {{ host = "{}", device = "{}" }}\nsku = "aws/us-east-1/gp3"\nsize_gb = 1\n'
)
NETWORK = '[[network]]\nclass = "{}"\nprice_per_gb = 1\ncidr = [{}]\n'


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (NODE.format("*"), ":10: node[1]: host * already has a rule on line 3"),
        (NODE.format("db-*"), ":10: node[1]: host db-* already has a rule on line 3"),
        (DISK.format("db-1", "sda"), ":10: disk[1]: disk db-1/sda already has a rule on line 6"),
        (
            NETWORK.format("a", '"10.0.0.0/8"') + NETWORK.format("a", '"11.0.0.0/8"'),
            ":14: network[1]: class a already has a rule on line 10",
        ),
        (
            NETWORK.format("a", '"10.0.0.0/8"') + NETWORK.format("b", '"::/0", "10.0.0.0/8"'),
            ":14: network[1]: 10.0.0.0/8 already has a rule on line 10",
        ),
        (
            NETWORK.format("a", "") + NETWORK.format("b", ""),
            ":14: network[1]: every other address already has a rule on line 10",
        ),
        (
            NETWORK.format("a", "") + NETWORK.format("b", '"10.0.0.0/8"'),
            ":14: network[1]: 10.0.0.0/8 already has a rule on line 10",
        ),
        (
            NETWORK.format("a", '"fd00::/8"') + NETWORK.format("b", '"fd00:1::/32"'),
            ":14: network[1]: fd00:1::/32 already has a rule on line 10",
        ),
    ],
)
def test_two_rules_for_one_are_refused_with_both_lines(
    tmp_path: Path, rest: str, message: str
) -> None:
    said = refused(model(tmp_path, rest))
    assert message in said
    assert " | None" not in said


def test_a_narrow_block_before_a_wide_one_is_no_conflict(tmp_path: Path) -> None:
    classes = [("a", '"10.1.0.0/16"'), ("b", '"10.0.0.0/8", "::/0"'), ("c", "")]
    path = model(tmp_path, "".join(NETWORK.format(*one) for one in classes))
    assert [network.spec.class_ for network in load_model(path).networks] == ["a", "b", "c"]


def test_the_example_of_the_documentation_is_a_model() -> None:
    page = Path(__file__).parents[3] / "docs/prices.md"
    (example,) = re.findall(r"^```toml\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    priced = price_model(example, page)
    assert [node.monthly_usd for node in priced.nodes] == [Decimal("210.50")]
    assert [disk.monthly_usd for disk in priced.disks] == [Decimal("38.80")]
    assert priced.disks[0].iops == 40_000


def test_a_narrow_rule_before_a_wide_one_is_no_conflict(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    text = 'schema = "cost-model/1"\n' + NODE.format("db-1") + NODE.format("db-*")
    path.write_text(text + NODE.format("*") + DISK.format("*", "sda") + DISK.format("*", "*"))
    assert len(load_model(path).nodes) == 3


@pytest.mark.parametrize(
    ("earlier", "later", "covered"),
    [
        ("*", "db-*", True),
        ("db-*", "db-1", True),
        ("db-[12]", "db-1", True),
        ("db-[12]", "db-3", False),
        ("db-*", "*", False),
        ("a?b", "a*b", False),  # a*b matches more
        ("db-?", "db-?", True),
        ("*-1", "db-*", False),
    ],
)
def test_covers(earlier: str, later: str, covered: bool) -> None:
    assert covers(earlier, later) is covered


def test_the_published_schema_is_that_of_the_fields() -> None:
    """`stackledger model schema > costmodels/cost-model.schema.json` writes it anew."""
    published = resources.folder("costmodels") / "cost-model.schema.json"
    assert published.read_text(encoding="utf-8") == f"{json.dumps(json_schema(), indent=2)}\n"


def test_the_schema_describes_every_field_and_knows_numbers() -> None:
    schema = json_schema()
    assert "decimal" not in json.dumps(schema)
    for name, table in schema["$defs"].items():
        assert table["additionalProperties"] is False, name
        for field, told in table["properties"].items():
            assert told["description"], f"{name}.{field}"
    assert set(schema["$defs"]["OwnPrice"]["properties"]["dimension"]["enum"]) == set(UNITS)
    assert set(UNITS) == set(Dimension.__args__)  # type: ignore[attr-defined]


def test_the_packaged_models_name_the_schema() -> None:
    folder = resources.folder("costmodels")
    for path in folder.glob("*.toml"):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first == "#:schema ./cost-model.schema.json"
        assert (folder / first.removeprefix("#:schema ")).is_file()
