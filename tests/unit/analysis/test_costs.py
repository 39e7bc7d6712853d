"""The cost table: known small bills, and the sum that has to hold for any capture."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackledger.analysis.bill import unit_prices
from stackledger.analysis.costlines import PARTS
from stackledger.analysis.costmodel import CostModel, PricedNetwork, load_model, price_disk
from stackledger.analysis.costs import priced as cost_table
from stackledger.analysis.diskbill import split
from stackledger.analysis.modelfile import DeviceMatch, Disk, HostMatch, Network, Shared
from stackledger.errors import NoSuchCaptureError, StackledgerError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from stackledger.analysis.costresult import CostResult

HOUR_NS = 3_600_000_000_000
# What `demand.gather` leaves, and the relations of the capture that are read beside it.
TABLES = {
    "cost_part": "endpoint VARCHAR, layer VARCHAR, service VARCHAR, block TINYINT, "
    "requests BIGINT, cpu_ns HUGEINT, disk_ios HUGEINT, disk_bytes HUGEINT, net_bytes HUGEINT",
    "cost_count": "endpoint VARCHAR, block TINYINT, requests BIGINT",
    "cost_traffic": "endpoint VARCHAR, layer VARCHAR, service VARCHAR, remote_addr VARCHAR, "
    "recv_bytes BIGINT, send_bytes BIGINT",
    "cost_peak": "resource VARCHAR, endpoint VARCHAR, layer VARCHAR, service VARCHAR, use HUGEINT",
    "cost_unattributed": "resource VARCHAR, use BIGINT",
    "cost_tracer": "cpu_ns BIGINT",
    "cost_window": "host VARCHAR, window_ns BIGINT, cpus INTEGER, lost_share DOUBLE",
    "cost_disks": "host VARCHAR, device VARCHAR, layer VARCHAR",
}
AWS = load_model("aws-us-east-1")
AZURE = load_model("azure-eastus")
Rows = Sequence[tuple[Any, ...]]

# Two endpoints, one hour, two CPUs; a quarter of the CPUs is used.
USAGE = (
    ("GET /a", "app", "python", 1000, HOUR_NS // 4, 0, 0, 0),
    ("GET /a", "database", "postgres", 1000, HOUR_NS // 8, 900_000, 900_000 * 4096, 0),
    ("GET /b", "app", "python", 10, HOUR_NS // 8, 0, 0, 2**30),
)


def connect(
    usage: Rows = USAGE,
    unattributed: Rows = (),
    window: Rows = (("h", HOUR_NS, 2, 0.0),),
    disks: Rows = (("h", "vda", "database"),),
    *,
    peak: Rows = (),
    tracer_ns: int = 0,
    traffic: Rows | None = None,
) -> duckdb.DuckDBPyConnection:
    """Return what a capture demands; without `traffic` all goes out to 198.51.100.7."""
    connection = duckdb.connect()
    counts = {endpoint: requests for endpoint, _, _, requests, *_ in usage}
    sent = [(*row[:3], "198.51.100.7", 0, row[7]) for row in usage if row[7]]
    rows = {
        "cost_part": [(*row[:3], 0, row[3], *row[4:]) for row in usage],
        "cost_count": [(endpoint, 0, requests) for endpoint, requests in counts.items()],
        "cost_traffic": sent if traffic is None else traffic,
        "cost_peak": peak,
        "cost_unattributed": unattributed,
        "cost_tracer": [(tracer_ns,)],
        "cost_window": window,
        "cost_disks": disks,
    }
    for table, columns in TABLES.items():
        connection.execute(f"CREATE TEMP TABLE {table} ({columns})")
        if rows[table]:
            marks = ", ".join("?" * len(rows[table][0]))
            values = [list(row) for row in rows[table]]
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", values)
    return connection


def with_policy(model: CostModel, idle: str, shared: tuple[Shared, ...] = ()) -> CostModel:
    policy = msgspec.structs.replace(model.file.policy, idle=idle)
    return replace(model, file=msgspec.structs.replace(model.file, policy=policy, shared=shared))


def with_disks(model: CostModel, *disks: Disk) -> CostModel:
    return replace(model, disks=tuple(price_disk(disk, model.catalog) for disk in disks))


def volume(device: str, sku: str = "gp3", iops: int = 3000) -> Disk:
    match = DeviceMatch(host="*", device=device)
    return Disk(match, f"aws/us-east-1/{sku}", Decimal(500), iops, Decimal(125))


def spent(result: CostResult, **wanted: str | None) -> Decimal:
    return sum(
        (
            row.cost_usd
            for row in result.rows
            if all(getattr(row, name) == value for name, value in wanted.items())
        ),
        Decimal(0),
    )


def check(result: CostResult) -> None:
    """The invariant: exact in the totals, to the cent in the figures per transaction."""
    assert result.difference_usd == 0
    assert sum((row.cost_usd for row in result.rows), Decimal(0)) == result.bill_usd
    assert sum((line.cost_usd for line in result.bill), Decimal(0)) == result.bill_usd
    each = sum((t.loaded_usd * t.requests for t in result.transactions), Decimal(0))
    apart = result.idle_usd + result.unattributed_usd + result.tracer_usd
    assert abs(each + apart - result.bill_usd) < Decimal("1e-6")
    assert all(row.cost_usd > 0 for row in result.rows)
    for balance in result.resources:
        told = balance.requests_usd + balance.unattributed_usd + balance.idle_usd
        told += balance.tracer_usd
        assert told == balance.cost_usd
        assert min(balance.requests_usd, balance.unattributed_usd, balance.idle_usd) >= 0
    for transaction in result.transactions:
        assert 0 <= transaction.marginal_usd <= transaction.direct_usd <= transaction.loaded_usd
        assert sum(transaction.parts.values()) == transaction.loaded_usd
        if transaction.loaded_high_usd is not None:
            assert transaction.loaded_high_usd >= transaction.loaded_usd
        assert 0 <= transaction.loaded_low_usd <= transaction.loaded_usd


def test_cpu_costs_its_part_of_the_node() -> None:
    """direct_i = C * U_i / (q * T), where C is the CPU's part of $0.0960 for the hour."""
    result = cost_table(connect(), with_policy(AWS, "none"))
    per_vcpu, per_gib = unit_prices(AWS.catalog)
    cpu_usd = Decimal("0.0960") * per_vcpu * 2 / (per_vcpu * 2 + per_gib * 8)
    app = spent(result, endpoint="GET /a", layer="app", part="cpu")
    assert app == pytest.approx(cpu_usd / 8, abs=Decimal("1e-11"))
    check(result)


def test_the_bill_is_the_node_the_volume_and_the_traffic() -> None:
    result = cost_table(connect(), AWS)
    volume_usd = Decimal(40) / 730
    assert [line.cost_usd for line in result.bill] == [
        Decimal("0.096"),
        volume_usd.quantize(Decimal("1e-12")),
        Decimal("0.01"),
    ]
    assert result.oldest_source_date is not None
    assert result.oldest_source_date.isoformat() == "2024-07-01"
    assert result.warnings == []
    check(result)


def test_network_is_marginal_and_never_idle() -> None:
    result = cost_table(connect(), AWS)
    by_name = {t.endpoint: t for t in result.transactions}
    assert by_name["GET /b"].marginal_usd == Decimal("0.001")  # 1 GiB at $0.01, 10 requests
    assert by_name["GET /a"].marginal_usd == 0
    assert spent(result, kind="idle", resource="network") == 0


def test_capacity_belongs_to_the_layer_of_the_disk() -> None:
    result = cost_table(connect(), AWS)
    whole = (Decimal(40) / 730).quantize(Decimal("1e-12"))
    assert spent(result, endpoint="GET /a", layer="database", part="disk_capacity") == whole
    assert spent(result, part="disk_capacity") == whole


def test_capacity_goes_by_requests_where_the_layer_did_no_io() -> None:
    usage = [
        ("GET /a", "database", "postgres", 30, 5, 0, 0, 0),
        ("GET /b", "database", "postgres", 10, 5, 0, 0, 0),
    ]
    result = cost_table(connect(usage), AWS)
    a, b = (spent(result, endpoint=e, part="disk_capacity") for e in ("GET /a", "GET /b"))
    assert a == pytest.approx(3 * b, abs=Decimal("1e-11"))
    check(result)


def test_provisioned_iops_cost_what_they_are_used() -> None:
    """3000 IOPS of io2 for $195: 900,000 of 10.8 million I/Os used in the hour, 1/12."""
    model = with_policy(with_disks(AWS, volume("*", "io2")), "none")
    result = cost_table(connect(), model)
    iops_usd = Decimal(3000) * Decimal("0.065") / 730
    used = spent(result, endpoint="GET /a", part="disk_iops")
    assert used == pytest.approx(iops_usd / 12, abs=Decimal("1e-11"))
    idle = spent(result, kind="idle", resource="disk_iops")
    assert idle == pytest.approx(iops_usd * 11 / 12, abs=Decimal("1e-11"))
    check(result)


def test_memory_is_idle_unless_the_policy_shares_it() -> None:
    for idle in ("none", "per_resource_proportional"):
        result = cost_table(connect(), with_policy(AWS, idle))
        (memory,) = (b for b in result.resources if b.resource == "memory")
        assert memory.idle_usd == memory.cost_usd > 0
    result = cost_table(connect(), with_policy(AWS, "even"))
    (memory,) = (b for b in result.resources if b.resource == "memory")
    assert memory.idle_usd == 0
    assert memory.requests_usd == memory.cost_usd
    a, b = (spent(result, endpoint=e, resource="memory") for e in ("GET /a", "GET /b"))
    assert abs(a - b) <= Decimal("1e-12")
    check(result)


def test_idle_cpu_follows_the_use_of_the_cpu() -> None:
    result = cost_table(connect(), AWS)
    a, b = (spent(result, endpoint=e, part="idle") for e in ("GET /a", "GET /b"))
    assert a == pytest.approx(3 * b, abs=Decimal("1e-11"))
    assert spent(result, kind="idle", resource="cpu") == 0


def test_unattributed_stays_apart() -> None:
    unattributed = [("cpu", HOUR_NS // 2), ("send_bytes", 2**30)]
    result = cost_table(connect(unattributed=unattributed), AWS)
    without = cost_table(connect(), AWS)
    assert result.unattributed_usd == spent(result, kind="unattributed") > Decimal("0.01")
    direct = {t.endpoint: t.direct_usd for t in without.transactions}
    assert {t.endpoint: t.direct_usd for t in result.transactions} == pytest.approx(direct)
    check(result)


def test_oversubscribed_is_said_and_rescaled() -> None:
    usage = [
        ("GET /a", "app", "python", 10, 6 * HOUR_NS, 0, 0, 0),
        ("GET /b", "app", "python", 10, 2 * HOUR_NS, 0, 0, 0),
    ]
    result = cost_table(connect(usage), AWS)
    (cpu,) = (b for b in result.resources if b.resource == "cpu")
    assert cpu.used_share == 4.0
    assert cpu.requests_usd == cpu.cost_usd
    assert any("cpu: used more than the model provides" in said for said in result.warnings)
    a, b = (spent(result, endpoint=e, part="cpu") for e in ("GET /a", "GET /b"))
    assert a == pytest.approx(3 * b, abs=Decimal("1e-11"))
    check(result)


def test_layers_on_disks_of_their_own_pay_for_their_own() -> None:
    usage = [
        ("GET /a", "database", "postgres", 10, 1, 900_000, 0, 0),
        ("GET /a", "messaging", "nats", 10, 1, 9, 0, 0),
    ]
    disks = [("h", "vda", "database"), ("h", "vdb", "messaging")]
    model = with_disks(AWS, volume("vda", "io2"), volume("vdb", "gp3"))
    result = cost_table(connect(usage, disks=disks), model)
    gp3 = (Decimal(40) / 730).quantize(Decimal("1e-12"))
    assert spent(result, layer="messaging", resource="disk_capacity") == gp3
    assert spent(result, layer="messaging", resource="disk_iops") == 0
    assert spent(result, layer="database", resource="disk_iops") > 0
    check(result)


def test_layers_on_one_disk_share_it_by_device_time() -> None:
    usage = [
        ("GET /a", "database", "postgres", 10, 1, 300, 0, 0),
        ("GET /a", "app", "python", 10, 1, 100, 0, 0),
    ]
    disks = [("h", "vda", "database"), ("h", "vda", "app")]
    result = cost_table(connect(usage, disks=disks), AWS)
    database, app = (spent(result, layer=x, part="disk_capacity") for x in ("database", "app"))
    assert database == pytest.approx(3 * app, rel=Decimal("1e-6"))
    check(result)


def test_disks_of_unknown_layers_are_one_pool() -> None:
    disks = [("h", "vda", None), ("h", "vdb", "app")]
    result = cost_table(connect(disks=disks), AWS)
    assert any("all disks are one pool" in said for said in result.warnings)
    assert sum(line.item.startswith("disk") for line in result.bill) == 2
    check(result)


def test_a_disk_that_no_capture_saw_is_still_on_the_bill() -> None:
    result = cost_table(connect(disks=()), AWS)
    assert any("saw no disk h/*" in said for said in result.warnings)
    named = with_disks(AWS, volume("vda"), volume("vdz"), volume("other*"))
    result = cost_table(connect(), named)
    items = [line.item.split(" (")[0] for line in result.bill if line.item.startswith("disk")]
    assert items == ["disk h/vda", "disk h/vdz"]
    check(result)


def test_a_seen_disk_without_a_price_is_said() -> None:
    result = cost_table(connect(disks=[("h", "sdz", "database")]), with_disks(AWS))
    assert any("no [[disk]] matches h/sdz" in said for said in result.warnings)
    check(result)


@pytest.mark.parametrize(
    ("weight", "ratio"), [("even", 1), ("requests", 100), ("bytes", 0), ("direct_cost", None)]
)
def test_shared_costs_go_by_their_weight(weight: str, ratio: int | None) -> None:
    shared = (Shared("control plane", Decimal(73), weight),)  # type: ignore[arg-type]
    result = cost_table(connect(), with_policy(AWS, "none", shared))
    assert spent(result, part="shared") == Decimal("0.1")
    a, b = (spent(result, endpoint=e, part="shared") for e in ("GET /a", "GET /b"))
    if ratio is None:
        direct = {t.endpoint: t.direct_usd * t.requests for t in result.transactions}
        assert a / b == pytest.approx(direct["GET /a"] / direct["GET /b"], rel=Decimal("1e-6"))
    else:
        assert a == pytest.approx(ratio * b, abs=Decimal("1e-10"))
    check(result)


def test_user_supplied_price_is_named() -> None:
    result = cost_table(connect(), load_model("gcp-us-central1"))
    (said,) = (said for said in result.warnings if "monthly_override" in said)
    assert "user-supplied" in said
    assert "unverified" in said
    check(result)


def test_another_cpu_count_than_the_models_is_said() -> None:
    result = cost_table(connect(window=[("h", HOUR_NS, 8, 0.0)]), AWS)
    assert any("has 8 CPUs, the model's node 2" in said for said in result.warnings)


def test_conflicting_prices_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    text = AWS.path.read_text(encoding="utf-8")
    sku = "gcp/us-central1/hyperdisk-balanced"
    path.write_text(text.replace("aws/us-east-1/gp3", sku), encoding="utf-8")
    result = cost_table(connect(), load_model(path, allow_conflicting=True))
    assert any(f"disagree on the price of {sku}" in said for said in result.warnings)


def test_prices_of_ones_own_and_what_is_charged_besides_are_said(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    own = """
[[price]]
sku = "rack"
dimension = "instance"
price = 0.1
date = 2026-01-31
reason = "lease 7"
"""
    text = AWS.path.read_text(encoding="utf-8").replace("aws/us-east-1/m6i.large", "rack")
    disk = 'sku = "azure/eastus/standard-ssd-e30"\nsize_gb = 500\n'
    head, _, rest = text.partition('sku = "aws/us-east-1/gp3"')
    path.write_text(head + disk + rest[rest.index("\n\n") :] + own, encoding="utf-8")
    result = cost_table(connect(), load_model(path))
    check(result)
    said = "\n".join(result.warnings)
    assert "instance price of rack, 0.1 USD per hour, is a user-supplied figure (lease 7)" in said
    assert "is charged besides" not in said
    assert [line.item for line in result.bill if line.item.startswith("operations")] == [
        "operations (azure/eastus/standard-ssd-e30)"
    ]


def test_each_operation_is_charged_where_it_is_priced() -> None:
    """0.002 dollars for 10,000: 900,000 of the database's and 100,000 of nobody's."""
    disk = Disk(DeviceMatch(host="*", device="vda"), "azure/eastus/standard-ssd-e30", Decimal(1024))
    model = with_disks(replace(AWS, catalog=AZURE.catalog, networks=()), disk)
    model = replace(model, catalog=AWS.catalog)
    result = cost_table(connect(unattributed=[("disk_ios", 100_000)]), model)
    check(result)
    (line,) = [line for line in result.bill if line.item.startswith("operations")]
    assert (line.monthly_usd, line.cost_usd) == (None, Decimal("0.2"))
    assert spent(result, part="disk_iops", kind="request") == Decimal("0.18")
    assert spent(result, resource="disk_iops", kind="unattributed") == Decimal("0.02")
    (mine,) = [row for row in result.transactions if row.endpoint == "GET /a"]
    assert mine.marginal_usd == Decimal("0.00018")


def test_operations_that_were_not_counted_are_said() -> None:
    disk = Disk(DeviceMatch(host="*", device="vda"), "azure/eastus/standard-ssd-e30", Decimal(1024))
    model = with_disks(replace(AWS, catalog=AZURE.catalog), disk)
    usage = [(*row[:5], 0, 0, row[7]) for row in USAGE]
    result = cost_table(connect(usage), replace(model, catalog=AWS.catalog))
    check(result)
    said = "each I/O on azure/eastus/standard-ssd-e30 is charged besides: not in this bill, "
    assert said + "for none was counted" in result.warnings


def test_losses_widen_upwards() -> None:
    result = cost_table(connect(window=[("h", HOUR_NS, 2, 0.2)]), AWS)
    for transaction in result.transactions:
        high = transaction.loaded_high_usd
        assert high is not None
        assert float(high) == pytest.approx(float(transaction.loaded_usd) / 0.8)
    everything = cost_table(connect(window=[("h", HOUR_NS, 2, 1.0)]), AWS)
    assert {t.loaded_high_usd for t in everything.transactions} == {None}


def test_no_request_leaves_the_bill_idle() -> None:
    shared = (Shared("control plane", Decimal(73)),)
    result = cost_table(connect(usage=()), with_policy(AWS, "even", shared))
    assert result.transactions == []
    assert result.idle_usd == result.bill_usd > 0
    check(result)


def test_several_hosts_are_one_bill() -> None:
    window = [("a", HOUR_NS, 2, 0.0), ("b", HOUR_NS // 2, 2, 0.1)]
    result = cost_table(connect(window=window, disks=[("a", "vda", "database")]), AWS)
    nodes = [line.cost_usd for line in result.bill if line.item.startswith("node")]
    assert nodes == [Decimal("0.096"), Decimal("0.048")]
    assert result.lost_share == 0.1
    check(result)


def test_idle_goes_by_the_busiest_second() -> None:
    """GET /b used an eighth of the hour, and three times what GET /a did in the peak."""
    peak = [
        ("cpu", "GET /a", "app", "python", 10**8),
        ("cpu", "GET /b", "app", "python", 3 * 10**8),
    ]
    result = cost_table(connect(peak=peak), with_policy(AWS, "peak_weighted"))
    a, b = (spent(result, endpoint=e, part="idle", resource="cpu") for e in ("GET /a", "GET /b"))
    assert b == pytest.approx(3 * a, abs=Decimal("1e-11"))
    assert spent(result, kind="idle", resource="cpu") == 0
    assert any("busiest second" in note for note in result.notes)
    check(result)


def test_a_resource_without_a_peak_goes_by_all_of_its_use() -> None:
    result = cost_table(connect(), with_policy(AWS, "peak_weighted"))
    proportional = cost_table(connect(), AWS)
    assert [row.cost_usd for row in result.rows] == [row.cost_usd for row in proportional.rows]


def test_the_tracer_is_a_line_out_of_the_unattributed() -> None:
    unattributed = [("cpu", HOUR_NS // 2)]
    without = cost_table(connect(unattributed=unattributed), AWS)
    result = cost_table(connect(unattributed=unattributed, tracer_ns=HOUR_NS // 8), AWS)
    assert result.tracer_usd == spent(result, kind="tracer", resource="cpu") > 0
    assert result.tracer_usd + result.unattributed_usd == without.unattributed_usd
    assert result.tracer_usd == pytest.approx(result.unattributed_usd / 3, abs=Decimal("1e-11"))
    assert result.transactions == without.transactions
    check(result)


def test_the_tracer_is_at_most_what_is_unattributed() -> None:
    result = cost_table(connect(unattributed=[("cpu", 10**9)], tracer_ns=HOUR_NS), AWS)
    assert result.unattributed_usd == 0 < result.tracer_usd
    check(result)


def test_a_host_without_a_node_is_refused() -> None:
    (node,) = AWS.nodes
    spec = msgspec.structs.replace(node.spec, match=HostMatch(host="x"))
    model = replace(AWS, nodes=(replace(node, spec=spec),))
    with pytest.raises(UsageError, match=r"matches host: h$"):
        cost_table(connect(), model)


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"window": ()}, NoSuchCaptureError),
        ({"window": [("h", 0, 2, 0.0)]}, StackledgerError),
        ({"window": [("h", HOUR_NS, 2, 1.5)]}, StackledgerError),
        ({"usage": [("GET /a", "app", "x", 0, 1, 0, 0, 0)]}, StackledgerError),
        ({"usage": [("GET /a", "app", "x", 1, -1, 0, 0, 0)]}, StackledgerError),
        ({"unattributed": [("cpus", 1)]}, StackledgerError),
        ({"unattributed": [("cpu", -1)]}, StackledgerError),
    ],
)
def test_input_that_makes_no_sense_is_refused(
    wrong: dict[str, Rows], kind: type[StackledgerError]
) -> None:
    connection = connect(**wrong)
    with pytest.raises(kind):
        cost_table(connection, AWS)
    left = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    assert {name for (name,) in left} <= set(TABLES)


def test_the_tables_stay_for_sql_and_can_be_written_again() -> None:
    connection = connect()
    first = cost_table(connection, AWS)
    assert cost_table(connection, AWS) == first
    left = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    assert {name for (name,) in left} == {*TABLES, "cost_line", "cost_per_transaction"}
    total = connection.execute("SELECT SUM(cost_usd) FROM cost_line").fetchone()
    assert total == (first.bill_usd,)


def test_unknown_names_are_kept() -> None:
    usage = [(None, None, None, 5, 1000, 0, 0, 0), ("", "app", "x", 5, 1000, 0, 0, 0)]
    result = cost_table(connect(usage), AWS)
    assert [t.endpoint for t in result.transactions] == [""]
    check(result)


def test_a_month_of_a_large_fleet_does_not_overflow() -> None:
    month = 30 * 24 * HOUR_NS
    window = [(f"h{n}", month, 192, 0.0) for n in range(50)]
    usage = [
        (f"GET /{n}", "database", "postgres", 10**9, month * 100, 10**11, 10**15, 10**15)
        for n in range(40)
    ]
    check(cost_table(connect(usage, window=window), AWS))


def test_two_nodes_for_one_host_are_refused() -> None:
    model = replace(AWS, nodes=AWS.nodes * 2)
    with pytest.raises(UsageError, match=r"2 \[\[node\]\] .* match one host: h: \*, \*"):
        cost_table(connect(), model)


def test_a_node_that_names_the_host_wins_over_patterns() -> None:
    (any_host,) = AWS.nodes
    own = replace(
        any_host,
        spec=msgspec.structs.replace(any_host.spec, match=HostMatch("h")),
        monthly_usd=Decimal(730),
        prices=(),
    )
    result = cost_table(connect(), replace(AWS, nodes=(any_host, own)))
    (line,) = (line for line in result.bill if line.item.startswith("node "))
    assert line.monthly_usd == 730


@given(st.integers(0, 10**12), st.lists(st.integers(1, 10**9), min_size=1, max_size=6))
def test_split_is_whole_and_sums(use: int, weights: list[int]) -> None:
    shares = split(use, weights)
    assert sum(shares) == use
    assert min(shares) >= 0


NAMES = st.sampled_from(["gateway", "app", "database", ""])
AMOUNTS = st.one_of(st.just(0), st.integers(0, 10**5), st.integers(0, 10**14))
ENDPOINT_ROWS = st.dictionaries(
    st.tuples(st.sampled_from(["GET /a", "GET /b", "POST /c", ""]), NAMES, NAMES),
    st.tuples(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS),
    max_size=12,
)
SHARED = st.lists(
    st.builds(
        Shared,
        name=st.just("shared"),
        monthly=st.decimals(0, 1000, places=2),
        weight=st.sampled_from(["even", "direct_cost", "requests", "bytes"]),
    ),
    max_size=2,
)


@settings(max_examples=20, deadline=None)
@given(
    rows=ENDPOINT_ROWS,
    roots=st.integers(1, 10**6),
    unattributed=st.dictionaries(
        st.sampled_from(["cpu", "disk_ios", "disk_bytes", "recv_bytes", "send_bytes"]), AMOUNTS
    ),
    window_ns=st.integers(1_000_000, 10**14),
    lost=st.floats(0, 1),
    disks=st.lists(st.tuples(st.just("h"), st.sampled_from(["vda", "vdb"]), NAMES), max_size=4),
    sku=st.sampled_from(["gp3", "io2", "gp2", "st1"]),
    idle=st.sampled_from(["none", "even", "per_resource_proportional", "peak_weighted"]),
    shared=SHARED,
)
def test_the_lines_sum_to_the_bill_whatever_was_captured(
    rows: dict[tuple[str, str, str], tuple[int, int, int, int]],
    roots: int,
    unattributed: dict[str, int],
    window_ns: int,
    lost: float,
    disks: Rows,
    sku: str,
    idle: str,
    shared: list[Shared],
) -> None:
    # The number of roots is the same on each row of an endpoint.
    usage = [(*key, roots + len(key[0]), *use) for key, use in rows.items()]
    disk = Disk(DeviceMatch("*", "*"), f"aws/us-east-1/{sku}", Decimal(100))
    if sku == "gp3":
        disk = msgspec.structs.replace(disk, iops=6000, throughput_mbps=Decimal(250))
    priced = with_disks(AWS, disk)
    model = with_policy(priced, idle, tuple(shared))
    window = [("h", window_ns, 2, lost)]
    connection = connect(usage, list(unattributed.items()), window, disks)
    result = cost_table(connection, model)
    check(result)
    assert {t.endpoint for t in result.transactions} == {endpoint for endpoint, _, _ in rows}
    assert all(set(t.parts) == set(PARTS) for t in result.transactions)
    if idle == "none":
        assert spent(result, part="idle", kind="request") == 0


POLICIES = ("none", "even", "per_resource_proportional", "peak_weighted")
ENDPOINTS = ("GET /a", "GET /b", "POST /c", "", "DELETE /{id}")
LAYERS = ("gateway", "app", "database", "messaging", "")
ADDRESSES = ("198.51.100.7", "10.1.2.3", "2001:db8::1", "no address")
CENT = Decimal("0.01")


def generated(seed: int) -> tuple[duckdb.DuckDBPyConnection, CostModel]:
    """Return one of many captures and a model for it: sizes from nothing to far too much."""
    draw = random.Random(seed)

    def amount() -> int:
        return draw.choice(
            (0, draw.randrange(10**3), draw.randrange(10**9), draw.randrange(10**14))
        )

    keys = {
        (draw.choice(ENDPOINTS), draw.choice(LAYERS), draw.choice(("x", "y", "")))
        for _ in range(draw.randrange(9))
    }
    roots = {key[0]: draw.randrange(1, draw.choice((2, 50, 10**6))) for key in sorted(keys)}
    usage = [(*key, roots[key[0]], *(amount() for _ in range(4))) for key in sorted(keys)]
    traffic = [
        (*row[:3], draw.choice(ADDRESSES), row[7] // 3, row[7] - row[7] // 3)
        for row in usage
        if row[7]
    ]
    resources = ("cpu", "disk_iops", "disk_throughput")
    peak = [(r, *row[:3], 1 + amount()) for row in usage for r in resources if draw.random() < 0.3]
    unknown = ("cpu", "disk_ios", "disk_bytes", "recv_bytes", "send_bytes")
    connection = connect(
        usage,
        [(name, amount()) for name in unknown if draw.random() < 0.5],
        [
            (host, draw.randrange(10**6, 10**15), draw.randrange(1, 128), draw.random())
            for host in draw.choice((("h",), ("h", "i")))
        ],
        [("h", draw.choice(("vda", "vdb")), draw.choice(LAYERS)) for _ in range(draw.randrange(5))],
        peak=peak,
        tracer_ns=amount(),
        traffic=traffic,
    )
    skus = draw.sample(("gp3", "io2", "gp2", "st1", "sc1"), 2)
    size = Decimal(draw.randrange(1, 16_000))
    disks = [
        Disk(DeviceMatch("*", pattern), f"aws/us-east-1/{sku}", size)
        for pattern, sku in zip(("vda", "*"), skus, strict=True)
    ][draw.randrange(3) :]
    networks = [
        Network("peer", Decimal(draw.randrange(100)) / 100, "in", ("10.0.0.0/8", "2001:db8::/32")),
        Network("out", Decimal(draw.randrange(100)) / 100, draw.choice(("in", "out", "both"))),
    ][draw.randrange(3) :]
    weights = ("even", "direct_cost", "requests", "bytes")
    shared = tuple(
        Shared(str(n), Decimal(draw.randrange(10**6)) / 100, draw.choice(weights))
        for n in range(draw.randrange(3))
    )
    model = with_disks(with_policy(AWS, "none", shared), *disks)
    file = msgspec.structs.replace(model.file, network=tuple(networks))
    classes = tuple(PricedNetwork(one, ()) for one in networks)
    return connection, replace(model, file=file, networks=classes)


def conserved(seed: int, policy: str) -> None:
    """Hold |rows - bill| to a cent, and more: in the totals nothing is missing at all."""
    connection, model = generated(seed)
    with connection:
        result = cost_table(connection, with_policy(model, policy, model.file.shared))
        rows = sum((row.cost_usd for row in result.rows), Decimal(0))
        assert abs(rows - result.bill_usd) <= CENT, (seed, policy)
        check(result)
        blocks = sum(t.requests * t.loaded_usd for t in result.transactions)
        assert abs(blocks - result.requests_usd) <= CENT, (seed, policy)


@pytest.mark.parametrize("policy", POLICIES)
def test_rows_are_the_bill_on_generated_captures(policy: str) -> None:
    """The first of the 1000 that bench/conservation.py holds to it, on every policy."""
    for seed in range(8):
        conserved(seed, policy)
