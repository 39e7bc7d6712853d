"""What is left of a request when a layer that only passes it on is gone: worked out by hand.

nginx asks haproxy, haproxy an application. Of the 20 ms of a root, 10 are the application's;
haproxy has 14 ms, 1 of them on a CPU, and waits 12 for its call; nginx waits 17 for its own.
So haproxy takes 2 ms itself, the way to it 3 ms and the way from it 2 ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stackledger.analysis.costmodel import load_model
from stackledger.analysis.whatif import demand, hop
from stackledger.analysis.whatif.answer import predict
from stackledger.analysis.whatif.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

    Opened = Callable[..., duckdb.DuckDBPyConnection]

AWS = load_model("aws-us-east-1")
MS = 1_000_000
ROOTS = 30
NGINX, HAPROXY, SHOP = 1, 2, 3


def chain(**app: Any) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {"request": [], "call": []}
    for n in range(ROOTS):
        at = 30 * n + 5
        rows["request"] += [
            served(1, NGINX, at, 20, cpu_ns=MS, covered_ns=17 * MS, calls=1),
            served(3, HAPROXY, at + 3, 14, cpu_ns=MS, covered_ns=12 * MS, calls=1),
            served(5, SHOP, at + 5, 10, cpu_ns=4 * MS, sleep_ns=6 * MS, **app),
        ]
        rows["call"] += [called(2, 1, at, at + 1, 17), called(4, 3, at + 3, at + 4, 12)]
    ends = ((1, None, 8000), (3, 2, 8001), (5, 4, 8002))
    rows["connection"] = []
    for served_by, caller, port in ends:
        end = {"ts_ns": 1, "family": 2, "local_addr": "127.0.0.1", "remote_addr": "127.0.0.1"}
        pid = {1: NGINX, 3: HAPROXY, 5: SHOP}[served_by]
        rows["connection"].append(
            end
            | {"sock": served_by, "accepted": "true", "pid": pid}
            | {"local_port": port, "remote_port": port + 100}
        )
        if caller:
            rows["connection"].append(
                end
                | {"sock": caller, "pid": pid - 1, "local_port": port + 100}
                | {"remote_port": port}
            )
    names = {NGINX: "nginx", HAPROXY: "haproxy", SHOP: "shop"}
    rows["process"] = [
        {"pid": pid, "comm": name, "exe": f"/usr/sbin/{name}"} for pid, name in names.items()
    ]
    rows["host_cpu"] = [{"ts_ns": 5 * 10**8, "interval_ns": 10**9, "user_ns": 400 * MS}]
    return rows


def served(sock: int, pid: int, at_ms: int, wall_ms: int, **more: Any) -> dict[str, Any]:
    told = {"sock": sock, "conn_ts_ns": 1, "ts_ns": at_ms * MS, "recv_ts_ns": at_ms * MS}
    return told | {"pid": pid, "tid": pid, "wall_ns": wall_ms * MS, "endpoint": "GET /"} | more


def called(sock: int, owner: int, owner_ms: int, at_ms: int, wall_ms: int) -> dict[str, Any]:
    told = {"sock": sock, "conn_ts_ns": 1, "ts_ns": at_ms * MS, "wall_ns": wall_ms * MS}
    return told | {"owner_sock": owner, "owner_recv_ts_ns": owner_ms * MS, "endpoint": "GET /"}


def test_its_own_time_leaves_and_the_shorter_way(capture: Opened) -> None:
    connection = capture(**chain())
    asked = demand.read(connection)
    found = hop.read(connection, "sidecar", asked.roots)
    assert (found.requests, found.others, found.known) == (30, 0, ("app", "gateway", "sidecar"))
    assert found.taken == (hop.Taken(1.0 * MS, 0.0, 3.0 * MS, 1.0 * MS),) * ROOTS
    left = hop.without(asked.jobs, found.taken)
    assert {(job.cpu_ns, job.wait_ns, job.beside_ns) for job in left} == {
        (5.0 * MS, 11.0 * MS, 0.0)
    }


def test_the_root_itself_leaves_with_the_way_that_it_sees(capture: Opened) -> None:
    """Who asks nginx would ask haproxy: the way from there is in no ledger."""
    connection = capture(**chain())
    asked = demand.read(connection)
    found = hop.read(connection, "gateway", asked.roots)
    # 1 ms of CPU; of the other 5 are 3 the way to haproxy, and 2 not explained.
    assert found.taken == (hop.Taken(1.0 * MS, 0.0, 5.0 * MS, 1.0 * MS),) * ROOTS


def test_what_its_processes_spend_beside_leaves_too(capture: Opened) -> None:
    spent = {"ts_ns": 5 * 10**8, "interval_ns": 10**9}
    rows = chain() | {
        "process_stat": [
            spent | {"pid": HAPROXY, "user_ns": 60 * MS, "system_ns": 30 * MS},
            spent | {"pid": SHOP, "user_ns": 500 * MS, "system_ns": 0},
        ]
    }
    connection = capture(**rows)
    found = hop.read(connection, "sidecar", demand.read(connection).roots)
    # 90 ms, of which its 30 requests have 1 ms each.
    assert found.beside_ns == pytest.approx(2 * MS)


def test_an_option_without_it_is_replayed(capture: Opened) -> None:
    told = predict(capture(**chain()), AWS, Wanted(no_layers=("sidecar",), name="hop"))
    (option,) = told.options
    assert (option.name, option.kind, told.chosen) == ("no sidecar", "layer", "no sidecar")
    before, after = told.replayed.latency.mean.value, option.after.latency.mean.value
    assert (before, after) == pytest.approx((20 * MS, 16 * MS), rel=1e-6)
    assert option.after.monthly_usd == told.before.monthly_usd
    assert option.notes[0] == "a request passes it in 4 ms and costs it 1 ms of CPU"


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        ("mesh", "no request of that layer: there are app, gateway, sidecar"),
        (
            "app",
            "not a hop: 30 of its 30 requests do not call exactly one server",
        ),
    ],
)
def test_what_is_no_hop_is_refused(capture: Opened, layer: str, why: str) -> None:
    told = predict(capture(**chain()), AWS, Wanted(no_layers=(layer,), name="hop"))
    assert (told.options[0].refused, told.options[0].after) == (why, None)
