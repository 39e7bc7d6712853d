"""Cost tables to export: a connection with the relations that a cost table reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import duckdb
import msgspec
import pytest

from stackledger.analysis.costmodel import (
    CostModel,
    load_model,
    price_disk,
    price_network,
    price_node,
)
from stackledger.analysis.costs import priced as cost_table
from stackledger.analysis.modelfile import DeviceMatch, Disk, HostMatch, Network, Node, Shared

HOUR_NS = 3_600_000_000_000
START_NS = 1_700_000_000_000_000_000
Rows = Sequence[tuple[Any, ...]]
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
USAGE = (
    ("GET /a", "app", "python", 1000, HOUR_NS // 4, 0, 0, 2**20),
    ("GET /a", "database", "postgres", 1000, HOUR_NS // 8, 900_000, 900_000 * 4096, 0),
    ("GET /b", "messaging", "nats", 10, HOUR_NS // 8, 700, 700 * 4096, 2**30),
)
DISKS = (("h", "vda", "database"), ("h", "vdb", "messaging"))


def node(sku: str = "aws/us-east-1/m6i.large", own: str = "0") -> Node:
    return Node(HostMatch("*"), sku, 2, Decimal(8), Decimal(1), Decimal(own))


def disk(device: str = "*", sku: str = "aws/us-east-1/gp3", **more: Any) -> Disk:
    size = more.pop("size_gb", Decimal(500))
    return Disk(DeviceMatch("*", device), sku, size, **more)


def model(
    nodes: Sequence[Node] = (node(),),
    disks: Sequence[Disk] = (disk(),),
    networks: Sequence[Network] = (Network("cross_zone", Decimal("0.01")),),
    shared: Sequence[Shared] = (),
    idle: str = "per_resource_proportional",
    hours: Decimal = Decimal(730),
) -> CostModel:
    base = load_model("aws-us-east-1")
    policy = msgspec.structs.replace(base.file.policy, idle=idle)
    file = msgspec.structs.replace(
        base.file,
        node=tuple(nodes),
        disk=tuple(disks),
        network=tuple(networks),
        shared=tuple(shared),
        policy=policy,
        hours_per_month=hours,
    )
    return replace(
        base,
        name="mine",
        file=file,
        nodes=tuple(price_node(one, base.catalog, hours) for one in nodes),
        disks=tuple(price_disk(one, base.catalog) for one in disks),
        networks=tuple(price_network(one, base.catalog) for one in networks),
    )


def priced(
    cost_model: CostModel,
    usage: Rows = USAGE,
    unattributed: Rows = (("cpu", HOUR_NS // 10), ("disk_ios", 999)),
    window: Rows = (("h", HOUR_NS, 2, 0.0),),
    disks: Rows = DISKS,
) -> Any:
    """Return the cost table of what was used."""
    with duckdb.connect() as connection:
        counts = {endpoint: requests for endpoint, _, _, requests, *_ in usage}
        rows: dict[str, Rows] = {
            "cost_part": [(*row[:3], 0, row[3], *row[4:]) for row in usage],
            "cost_count": [(endpoint, 0, requests) for endpoint, requests in counts.items()],
            "cost_traffic": [(*row[:3], "198.51.100.7", 0, row[7]) for row in usage if row[7]],
            "cost_peak": [("cpu", *row[:3], row[4]) for row in usage[:1]],
            "cost_unattributed": unattributed,
            "cost_tracer": [(HOUR_NS // 100,)],
            "cost_window": window,
            "cost_disks": disks,
        }
        for table, columns in TABLES.items():
            connection.execute(f"CREATE TEMP TABLE {table} ({columns})")
            for row in rows[table]:
                marks = ", ".join("?" * len(row))
                connection.execute(f"INSERT INTO {table} VALUES ({marks})", list(row))
        return cost_table(connection, cost_model)


class Made:
    """What the tests of this folder call."""

    model = staticmethod(model)
    node = staticmethod(node)
    disk = staticmethod(disk)
    priced = staticmethod(priced)
    hour_ns = HOUR_NS
    start_ns = START_NS
    usage = USAGE
    disks = DISKS


@pytest.fixture(scope="session")
def made() -> Callable[..., Any]:
    return Made  # type: ignore[return-value]
