"""FOCUS rows: every rule holds for any capture and model, and the rows sum to the bill."""

from __future__ import annotations

import io
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stackledger.analysis.modelfile import Network, Shared
from stackledger.export import focus, focusfile, focusrules
from stackledger.export.focuscolumns import COLUMNS, MANDATORY, NAMES
from stackledger.export.focusorigin import Source
from stackledger.export.focusperiods import periods

START = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)


def source(start: datetime = START, *, window_ns: int, offset_ns: int = 0) -> Source:
    at = int(start.timestamp()) * 10**9 + offset_ns
    return Source("20261122T100000Z-0a1b2c", at, at + window_ns, "my-account")


def complaints(rows: list[dict[str, Any]], tmp_path) -> list[str]:
    """Return what the rules say of the rows, written and read again as CSV and as Parquet."""
    found = []
    for name, content in (
        ("rows.csv", focusfile.as_csv(rows)),
        ("rows.parquet", focusfile.as_parquet(rows)),
    ):
        (tmp_path / name).write_bytes(content)
        found += focusrules.check(*focusfile.read(tmp_path / name))
    return found


def spent(rows: list[dict[str, Any]], name: str = "BilledCost", **wanted: Any) -> Decimal:
    return sum(
        (row[name] for row in rows if all(row[key] == one for key, one in wanted.items())),
        Decimal(0),
    )


def test_the_columns_are_those_of_the_specification():
    """The 21 that FOCUS 1.2 makes mandatory, in their exact names; own ones come last."""
    assert set(MANDATORY) == {
        "BilledCost",
        "BillingAccountId",
        "BillingAccountName",
        "BillingCurrency",
        "BillingPeriodStart",
        "BillingPeriodEnd",
        "ChargeCategory",
        "ChargeClass",
        "ChargeDescription",
        "ChargePeriodStart",
        "ChargePeriodEnd",
        "ContractedCost",
        "EffectiveCost",
        "InvoiceIssuerName",
        "ListCost",
        "PricingQuantity",
        "PricingUnit",
        "ProviderName",
        "PublisherName",
        "ServiceCategory",
        "ServiceName",
    }
    assert len(MANDATORY) == 21
    assert {
        "ConsumedQuantity",
        "ConsumedUnit",
        "ListUnitPrice",
        "ContractedUnitPrice",
        "PricingCategory",
        "RegionId",
        "ResourceId",
        "ResourceName",
        "ResourceType",
        "SkuId",
        "SkuPriceId",
        "SubAccountId",
        "Tags",
    } <= set(NAMES)
    assert [name.startswith("x_") for name in NAMES] == sorted(
        name.startswith("x_") for name in NAMES
    )


def test_a_machine_is_charged_by_the_hour_and_a_volume_by_the_month(made, tmp_path):
    result = made.priced(made.model())
    rows = focus.focus_rows(result, source(window_ns=made.hour_ns))
    assert complaints(rows, tmp_path) == []
    node = [row for row in rows if row["ResourceType"] == "Virtual Machine"]
    assert spent(node, "PricingQuantity") == 1
    assert spent(node) == Decimal("0.096")
    assert {row["PricingUnit"] for row in node} == {"Hours"}
    assert {row["ServiceCategory"] for row in node} == {"Compute"}
    assert {(row["ProviderName"], row["RegionId"]) for row in rows} == {("AWS", "us-east-1")}
    volume = [row for row in rows if row["ResourceName"] == "vda"]
    assert {row["PricingUnit"] for row in volume} == {"GB-Months"}
    assert spent(volume, "PricingQuantity") == (Decimal(500) / 730).quantize(Decimal("1e-15"))
    assert spent(volume, "ConsumedQuantity") == 500
    assert spent(rows, "ConsumedQuantity", ServiceCategory="Networking") == 2**30 + 2**20
    assert {row["x_Kind"] for row in rows} == {"request", "idle", "tracer", "unattributed"}


def test_each_disk_is_charged_to_the_layers_that_use_it(made):
    disks = [made.disk("vda", "aws/us-east-1/io2", iops=6000), made.disk("vdb")]
    result = made.priced(made.model(disks=disks), unattributed=[("disk_ios", 5)])
    rows = focus.focus_rows(result, source(window_ns=made.hour_ns))
    for name, layer in (("vda", "database"), ("vdb", "messaging")):
        layers = {
            row["x_Layer"]
            for row in rows
            if row["ResourceName"] == name and row["x_Kind"] == "request"
        }
        assert layers == {layer}
    assert {row["ServiceName"] for row in rows if row["ResourceType"] == "Volume"} == {
        "Amazon Elastic Block Store"
    }
    iops = [row for row in rows if row["PricingUnit"] == "IOPS-Months"]
    assert {row["ListUnitPrice"] for row in iops} == {Decimal("0.065")}
    assert {row["ConsumedUnit"] for row in iops} == {"IOPS-Hours"}


def test_tiers_are_charges_of_their_own(made):
    disks = [made.disk(iops=8000, throughput_mbps=Decimal(300))]
    result = made.priced(made.model(disks=disks))
    rows = focus.focus_rows(result, source(window_ns=made.hour_ns))
    prices = {row["SkuPriceId"] for row in rows if row["ResourceName"] == "vda"}
    assert prices == {"aws-gp3-capacity", "aws-gp3-iops", "aws-gp3-throughput"}
    above = spent(rows, "PricingQuantity", SkuPriceId="aws-gp3-iops", ResourceName="vda")
    assert above == (Decimal(5000) / 730).quantize(Decimal("1e-15"))


def test_a_volume_sold_by_the_size_step_has_one_price(made, tmp_path):
    sku = "azure/eastus/standard-ssd-e30"
    disks = [made.disk(sku=sku, size_gb=Decimal(700))]
    result = made.priced(made.model(disks=disks), disks=made.disks[:1])
    rows = focus.focus_rows(result, source(window_ns=made.hour_ns))
    assert complaints(rows, tmp_path) == []
    mine = [row for row in rows if row["SkuId"] == sku]
    volume = [row for row in mine if row["PricingUnit"] == "Months"]
    operations = [row for row in mine if row["PricingUnit"] == "10000 Operations"]
    assert len(volume) + len(operations) == len(mine)
    # Azure charges each I/O besides: 0.002 USD per 10 000.
    assert spent(operations) == spent(operations, "PricingQuantity") * Decimal("0.002") > 0
    assert {row["ListUnitPrice"] for row in volume} == {Decimal("76.8")}
    assert {row["ProviderName"] for row in volume} == {"Microsoft"}
    assert spent(volume, "ConsumedQuantity") == 1


def test_traffic_is_charged_tier_by_tier(made, tmp_path):
    networks = [Network("internet", sku="gcp/us-central1/internet-egress")]
    usage = [("GET /a", "app", "python", 10, 1, 0, 0, 2000 * 2**30)]
    cost_model = made.model(networks=networks, disks=())
    result = made.priced(cost_model, usage, unattributed=(), disks=())
    rows = focus.focus_rows(result, source(window_ns=made.hour_ns))
    assert complaints(rows, tmp_path) == []
    tiers = {
        price: spent(rows, "PricingQuantity", SkuPriceId=f"gcp-internet-egress-transfer-{price}")
        for price in ("tier-1", "tier-2", "tier-3")
    }
    assert tiers == {"tier-1": 1024, "tier-2": 976, "tier-3": 0}
    spent_on_it = spent(rows, ServiceCategory="Networking")
    assert spent_on_it == 1024 * Decimal("0.12") + 976 * Decimal("0.11")


def test_ones_own_price_is_contracted_and_the_list_stays_beside_it(made, tmp_path):
    nodes = [made.node(own="58.4")]
    result = made.priced(made.model(nodes=nodes, disks=()), disks=())
    rows = focus.focus_rows(result, source(window_ns=made.hour_ns))
    assert complaints(rows, tmp_path) == []
    node = [row for row in rows if row["ServiceCategory"] == "Compute"]
    assert {row["ContractedUnitPrice"] for row in node} == {Decimal("58.4")}
    assert {row["ListUnitPrice"] for row in node} == {Decimal("0.0960") * 730}
    assert {row["PricingUnit"] for row in node} == {"Months"}
    assert abs(spent(node) - Decimal("0.08")) < Decimal("1e-12")
    assert abs(spent(node, "ListCost") - Decimal("0.096")) < Decimal("1e-12")
    assert {(row["x_CostBasis"], row["x_PriceConfidence"]) for row in node} == {
        ("own_price", "user-supplied")
    }


def test_shared_costs_go_their_own_ways(made):
    shared = [Shared("by even", Decimal(730), "even"), Shared("by use", Decimal(73), "requests")]
    result = made.priced(made.model(shared=shared))
    rows = focus.focus_rows(result, source(window_ns=made.hour_ns))
    even = [row for row in rows if row["ServiceName"] == "by even"]
    difference = spent(even, x_Endpoint="GET /a") - spent(even, x_Endpoint="GET /b")
    assert abs(difference) < Decimal("1e-11")
    use = [row for row in rows if row["ServiceName"] == "by use"]
    ratio = spent(use, x_Endpoint="GET /a") / spent(use, x_Endpoint="GET /b")
    assert abs(ratio - 100) < Decimal("1e-6")
    assert {row["ProviderName"] for row in even + use} == {"Self-managed"}


def test_a_window_over_the_end_of_a_month_is_charged_in_both(made, tmp_path):
    start = datetime(2026, 11, 30, 23, 45, 0, tzinfo=UTC)
    result = made.priced(made.model())
    rows = focus.focus_rows(result, source(start, window_ns=made.hour_ns))
    assert complaints(rows, tmp_path) == []
    hours: dict[Any, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["ServiceCategory"] == "Compute":
            hours[row["BillingPeriodStart"].month] += row["PricingQuantity"]
    assert hours == {11: Decimal("0.25"), 12: Decimal("0.75")}


def test_the_period_is_the_window_in_whole_seconds():
    second = 10**9
    (one,) = periods(1_700_000_000 * second + 1, 1_700_000_001 * second + 1)
    assert (one.start.timestamp(), one.end.timestamp()) == (1_700_000_000, 1_700_000_002)
    (none,) = periods(1_700_000_000 * second, 1_700_000_000 * second)
    assert (none.end - none.start).total_seconds() == 1
    leap = datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC)
    both = periods(int(leap.timestamp()) * second, int(leap.timestamp() + 2) * second)
    assert [(one.billing_start.month, one.weight_ns) for one in both] == [(2, second), (3, second)]


def test_hostile_names_reach_neither_a_spreadsheet_nor_another_column(made, tmp_path):
    endpoint = '=HYPERLINK("http://x","y")\t\n,"'
    usage = [(endpoint, "@layer", "\x1b[31m+1", 5, 10**9, 0, 0, 0)]
    rows = focus.focus_rows(made.priced(made.model(), usage), source(window_ns=made.hour_ns))
    assert complaints(rows, tmp_path) == []
    _, texts = focusfile.read(tmp_path / "rows.csv")
    assert {row["x_Endpoint"] for row in texts if row["x_Kind"] == "request"} == {
        '\'=HYPERLINK("http://x","y")\\x09\\x0a,"'
    }
    assert "'@layer" in {row["x_Layer"] for row in texts}
    assert "\\x1b[31m+1" in {row["x_Service"] for row in texts}
    # Parquet is for programs: there the name is what it was.
    kept = pq.read_table(tmp_path / "rows.parquet")["x_Endpoint"].to_pylist()
    assert endpoint in kept


def test_a_request_that_nobody_could_name_has_no_endpoint(made, tmp_path):
    usage = [("(unknown)", "app", "shop", 5, 10**9, 0, 0, 0)]
    rows = focus.focus_rows(made.priced(made.model(), usage), source(window_ns=made.hour_ns))
    assert complaints(rows, tmp_path) == []
    assert {row["x_Endpoint"] for row in rows} == {None}
    assert spent(rows, x_Service="shop") > 0


def test_parquet_carries_types(made):
    rows = focus.focus_rows(made.priced(made.model()), source(window_ns=made.hour_ns))
    table = pq.read_table(io.BytesIO(focusfile.as_parquet(rows)))
    types = {field.name: str(field.type) for field in table.schema}
    assert types["BilledCost"] == "decimal128(38, 24)"
    assert types["PricingQuantity"] == "decimal128(38, 15)"
    assert types["ChargePeriodStart"] == "timestamp[ms, tz=UTC]"
    assert table["ChargeClass"].null_count == table.num_rows == len(rows)


NAMED = st.sampled_from(["GET /a", "POST /b", "", "=1+1", "GET /\ud800"])
LAYERS = st.sampled_from(["gateway", "app", "database", ""])
AMOUNT = st.one_of(st.just(0), st.integers(0, 10**6), st.integers(0, 10**14))
PRICES = st.decimals(0, 10_000, places=4)
SKUS = [
    *(f"aws/us-east-1/{name}" for name in ("gp3", "gp2", "io1", "io2", "st1", "rds-io1")),
    *(f"gcp/us-central1/{name}" for name in ("pd-ssd", "pd-extreme", "hyperdisk-extreme")),
    *(f"azure/eastus/{name}" for name in ("ultra-disk", "standard-ssd-e30")),
]
NETWORKS = [
    (),
    (Network("internet", Decimal("0.12")),),
    (Network("internet", sku="gcp/us-central1/internet-egress"),),
]
NODES = ["aws/us-east-1/m6i.large", "aws/us-east-1/rds-mysql-db.t3.large", ""]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_every_rule_holds_for_any_capture_and_model(data, made, tmp_path):
    draw = data.draw
    sku = draw(st.sampled_from(NODES))
    own = draw(PRICES.filter(bool)) if not sku or draw(st.booleans()) else Decimal(0)
    iops = {
        name: draw(st.sampled_from([0, 3000])) for name in SKUS if "io" in name or "ext" in name
    }
    volumes = [
        made.disk(
            device,
            name,
            # So small a volume is not sold with so many IOPS.
            size_gb=Decimal(draw(st.integers(100 if iops.get(name) else 1, 1000))),
            iops=iops.get(name, 0),
        )
        for device, name in zip(
            ("vda", "vdb"), draw(st.lists(st.sampled_from(SKUS), max_size=2)), strict=False
        )
    ]
    shared = draw(
        st.lists(
            st.builds(
                Shared,
                name=st.sampled_from(["mesh", "agent"]),
                monthly=PRICES,
                weight=st.sampled_from(["even", "direct_cost", "requests", "bytes"]),
            ),
            max_size=2,
            unique_by=lambda one: one.name,
        )
    )
    cost_model = made.model(
        nodes=[made.node(sku, str(own))],
        disks=volumes,
        networks=draw(st.sampled_from(NETWORKS)),
        shared=shared,
        idle=draw(st.sampled_from(["none", "even", "per_resource_proportional"])),
        hours=draw(st.sampled_from([Decimal(730), Decimal(720), Decimal("730.001")])),
    )
    use = draw(st.dictionaries(st.tuples(NAMED, LAYERS), st.tuples(*[AMOUNT] * 4), max_size=8))
    usage = [(*key, key[1], 7 + len(key[0]), *amounts) for key, amounts in use.items()]
    resources = st.sampled_from(["cpu", "disk_ios", "disk_bytes", "send_bytes"])
    window_ns = draw(st.integers(1, 3 * 10**15))
    hosts = draw(st.sampled_from([("h",), ("g", "h")]))
    result = made.priced(
        cost_model,
        [
            tuple(x.encode("utf-8", "replace").decode() if isinstance(x, str) else x for x in row)
            for row in usage
        ],
        list(draw(st.dictionaries(resources, AMOUNT)).items()),
        [(host, window_ns, draw(st.integers(1, 64)), 0.0) for host in hosts],
        draw(
            st.lists(st.tuples(st.just("h"), st.sampled_from(["vda", "vdb"]), LAYERS), max_size=4)
        ),
    )
    given_source = source(
        datetime.fromtimestamp(draw(st.integers(1_500_000_000, 2_000_000_000)), UTC),
        window_ns=window_ns,
        offset_ns=draw(st.integers(0, 10**9 - 1)),
    )
    rows = focus.focus_rows(result, given_source)
    if rows:
        assert complaints(rows, tmp_path) == []
    # A provider's quantity and a cost table's amount are rounded apart: never to a cent.
    assert abs(spent(rows) - result.bill_usd) < Decimal("1e-9") * (1 + len(result.bill))
    for kind in {row.kind for row in result.rows}:
        told = sum((row.cost_usd for row in result.rows if row.kind == kind), Decimal(0))
        assert abs(spent(rows, x_Kind=kind) - told) < Decimal("1e-6")
    assert all(tuple(row) == NAMES for row in rows)
    assert len(NAMES) == len(COLUMNS)


@pytest.fixture
def good(made) -> tuple[list[str], list[dict[str, str | None]]]:
    rows = focus.focus_rows(made.priced(made.model()), source(window_ns=made.hour_ns))
    return list(NAMES), [focusfile.texts_of(row) for row in rows]


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("BilledCost", None, "NULL is not allowed"),
        ("BillingAccountName", "", "stands for no value"),
        ("RegionId", "N/A", "stands for no value"),
        ("ServiceCategory", "Database", "is none of"),
        ("ChargeCategory", "usage", "is none of"),
        ("ChargeClass", "Normal", "is none of"),
        ("BilledCost", "1e-7", "not a decimal written out"),
        ("EffectiveCost", "1,000", "not a decimal written out"),
        ("EffectiveCost", "+1", "not a decimal written out"),
        ("ListUnitPrice", "-1", "not negative"),
        ("ListCost", "7", "ListUnitPrice x PricingQuantity"),
        ("ContractedCost", "7", "ContractedUnitPrice x PricingQuantity"),
        ("PricingQuantity", "7", "the rows sum to"),
        ("ChargePeriodStart", "2026-11-22 10:00:00", "is not YYYY"),
        ("ChargePeriodStart", "2026-11-22T10:00:00.5Z", "is not YYYY"),
        ("ChargePeriodEnd", "2026-11-22T10:00:00Z", "leaves"),
        ("ChargePeriodEnd", "2026-12-02T10:00:00Z", "leaves"),
        ("BillingPeriodStart", "2026-11-02T00:00:00Z", "no calendar month"),
        ("BillingPeriodEnd", "2026-12-02T00:00:00Z", "no calendar month"),
        ("BillingCurrency", "$", "no currency code"),
        ("PricingUnit", "hours", "is no unit"),
        ("Tags", '{"a": {"b": 1}}', "not a JSON object of plain values"),
        ("Tags", "a=b", "not a JSON object of plain values"),
        ("ResourceType", None, "goes with ResourceId"),
        ("SkuId", "aws/us-east-1/other", "belongs to two skus"),
        ("ServiceName", "Elastic", "differs from the other rows"),
    ],
)
def test_every_rule_finds_its_violation(good, column, value, told):
    columns, rows = good
    assert focusrules.check(columns, rows) == []
    rows[0][column] = value
    assert [one for one in focusrules.check(columns, rows) if told in one] != []


def test_the_head_is_checked(good):
    columns, rows = good
    without = [name for name in columns if name != "ListCost"]
    assert focusrules.check(without, rows) == ["head: ListCost: the mandatory column is missing"]
    rows = [{**row, "x_Own": None, "listcost": None} for row in rows]
    assert "own columns" in focusrules.check(["x_Own", *columns], rows)[0]
    assert "head: listcost: not Pascal case" in focusrules.check(["listcost", *columns], rows)[0]
    twice = focusrules.check([*columns[:1], *columns], rows)
    assert "head: BilledCost: the column is there twice" in twice
