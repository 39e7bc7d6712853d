"""The cost table: known small bills, and the sum that has to hold for any capture."""

from __future__ import annotations

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
from stackledger.analysis.costmodel import CostModel, load_model, price_disk
from stackledger.analysis.costs import cost_table
from stackledger.analysis.diskbill import split
from stackledger.analysis.modelfile import DeviceMatch, Disk, HostMatch, Shared
from stackledger.errors import NoSuchCaptureError, StackledgerError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from stackledger.analysis.costresult import CostResult

HOUR_NS = 3_600_000_000_000
TABLES = {
    "cost_usage": "endpoint VARCHAR, layer VARCHAR, service VARCHAR, requests BIGINT, "
    "cpu_ns BIGINT, disk_ios BIGINT, disk_bytes BIGINT, net_bytes BIGINT",
    "cost_unattributed": "resource VARCHAR, use BIGINT",
    "cost_window": "host VARCHAR, window_ns BIGINT, cpus INTEGER, lost_share DOUBLE",
    "cost_disks": "host VARCHAR, device VARCHAR, layer VARCHAR",
}
AWS = load_model("aws-us-east-1")
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
) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    rows = dict(zip(TABLES, (usage, unattributed, window, disks), strict=True))
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
    assert abs(each + result.idle_usd + result.unattributed_usd - result.bill_usd) < Decimal("1e-6")
    assert all(row.cost_usd > 0 for row in result.rows)
    for balance in result.resources:
        told = balance.requests_usd + balance.unattributed_usd + balance.idle_usd
        assert told == balance.cost_usd
        assert min(balance.requests_usd, balance.unattributed_usd, balance.idle_usd) >= 0
    for transaction in result.transactions:
        assert 0 <= transaction.marginal_usd <= transaction.direct_usd <= transaction.loaded_usd
        assert sum(transaction.parts.values()) == transaction.loaded_usd
        if transaction.loaded_high_usd is not None:
            assert transaction.loaded_high_usd >= transaction.loaded_usd


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
    unattributed = [("cpu", HOUR_NS // 2), ("net_bytes", 2**30)]
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


def test_peak_weighted_is_refused() -> None:
    with pytest.raises(UsageError, match="peak_weighted"):
        cost_table(connect(), with_policy(AWS, "peak_weighted"))


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


@settings(max_examples=40, deadline=None)
@given(
    rows=ENDPOINT_ROWS,
    roots=st.integers(1, 10**6),
    unattributed=st.dictionaries(
        st.sampled_from(["cpu", "disk_ios", "disk_bytes", "net_bytes"]), AMOUNTS
    ),
    window_ns=st.integers(1_000_000, 10**14),
    lost=st.floats(0, 1),
    disks=st.lists(st.tuples(st.just("h"), st.sampled_from(["vda", "vdb"]), NAMES), max_size=4),
    sku=st.sampled_from(["gp3", "io2", "gp2", "st1"]),
    idle=st.sampled_from(["none", "even", "per_resource_proportional"]),
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
