"""What a capture's requests used, by every dimension, and what is left for nobody."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import pytest

from stackledger.analysis.costmodel import CostModel, PricedNetwork, load_model
from stackledger.analysis.costs import cost_table
from stackledger.analysis.dimensions import NAMES, NO_MATCH, dimension
from stackledger.analysis.modelfile import Network
from stackledger.errors import UsageError

if TYPE_CHECKING:
    from stackledger.analysis.costresult import CostResult

AWS = load_model("aws-us-east-1")
MS = 1_000_000
APP, DATABASE, RECORDER, BPFTRACE, KWORKER = 100, 200, 300, 301, 7
Opened = "Callable[..., duckdb.DuckDBPyConnection]"


def request(at_ms: int, endpoint: str, sock: int = 1, **more: Any) -> dict[str, Any]:
    at = at_ms * MS
    told = {"sock": sock, "conn_ts_ns": 1, "ts_ns": at, "recv_ts_ns": at + 10, "pid": APP}
    told |= {"tid": APP, "wall_ns": 5 * MS, "cpu_ns": MS, "endpoint": endpoint}
    return told | more


def tables() -> dict[str, list[dict[str, Any]]]:
    """Return thirty orders and three visits of an app; each order asks a database."""
    orders = [
        request(30 * n + 5, f"GET /shop/{'red' if n % 3 else 'blue'}/order", recv_bytes=100)
        for n in range(30)
    ]
    visits = [request(30 * n + 20, "GET /", send_bytes=50) for n in range(3)]
    asked = [
        request(30 * n + 6, "SELECT ?", sock=3, pid=DATABASE, tid=DATABASE, wall_ns=MS)
        for n in range(30)
    ]
    calls = [
        {"sock": 2, "conn_ts_ns": 1, "ts_ns": (30 * n + 5) * MS + 100, "wall_ns": 3 * MS}
        | {"owner_sock": 1, "owner_recv_ts_ns": (30 * n + 5) * MS + 10, "pid": APP, "tid": APP}
        for n in range(30)
    ]
    inside = {"ts_ns": 1, "family": 2, "local_addr": "127.0.0.1", "remote_addr": "127.0.0.1"}
    outside = {"local_addr": "10.0.0.1", "remote_addr": "203.0.113.9"}
    return {
        "process": [
            {"pid": APP, "comm": "shop", "exe": "/usr/bin/shop", "cgroup": "/pod/shop"},
            {"pid": DATABASE, "comm": "postgres", "exe": "/usr/bin/postgres", "cgroup": "/pod/db"},
            {"pid": RECORDER, "comm": "python", "cmdline": "python -m stackledger capture"},
            {"pid": BPFTRACE, "ppid": RECORDER, "comm": "bpftrace", "cmdline": "bpftrace -"},
            {"pid": 999, "ppid": 1, "comm": "bpftrace", "cmdline": "bpftrace -e x"},
            {"pid": KWORKER, "ppid": 2, "comm": "kworker/u8:6"},
        ],
        "connection": [
            inside | outside | {"sock": 1, "accepted": "true", "pid": APP, "remote_port": 9},
            inside | {"sock": 2, "pid": APP, "local_port": 50, "remote_port": 5432},
            inside
            | {"sock": 3, "accepted": "true", "pid": DATABASE, "local_port": 5432}
            | {"remote_port": 50},
        ],
        "request": [*orders, *visits, *asked],
        "call": calls,
        "host_cpu": [{"ts_ns": 10**9, "interval_ns": 10**9, "user_ns": 400 * MS}],
        "host_net": [{"ts_ns": 10**9, "interface": "eth0", "recv_bytes": 4000, "send_bytes": 200}],
    }


def table(connection: duckdb.DuckDBPyConnection, by: str, model: CostModel = AWS) -> CostResult:
    result = cost_table(connection, model, by=dimension(by, connection))
    assert result.difference_usd == 0
    assert sum((row.cost_usd for row in result.rows), Decimal(0)) == result.bill_usd
    return result


@pytest.mark.parametrize(
    ("by", "counts"),
    [
        ("endpoint", {"GET /shop/red/order": 20, "GET /shop/blue/order": 10, "GET /": 3}),
        ("service", {"shop": 33, "postgres": 30}),
        ("container", {"/pod/shop": 33, "/pod/db": 30}),
        ("statement", {"SELECT ?": 30, "(not a statement)": 33}),
        ("^GET /shop/([a-z]+)", {"red": 20, "blue": 10, NO_MATCH: 3}),
    ],
)
def test_every_dimension_sums_to_the_same_bill(
    capture: Opened, by: str, counts: dict[str, int]
) -> None:
    result = table(capture(assembled=False, **tables()), by)
    assert {row.endpoint: row.requests for row in result.transactions} == counts
    whole = table(capture(assembled=False, **tables()), "endpoint")
    assert (result.bill_usd, result.unattributed_usd) == (whole.bill_usd, whole.unattributed_usd)
    spent = {t.endpoint: t.parts["cpu"] * t.requests for t in result.transactions}
    for one, each in spent.items():
        assert each == pytest.approx(
            sum(spent.values()) * _cpu_ms(by, one) / 63, rel=Decimal("1e-6")
        )


def _cpu_ms(by: str, subject: str) -> int:
    """Return how many requests' CPU a subject has: a root's row has those below it too."""
    if by in ("service", "container", "statement"):
        return 30 if subject in ("postgres", "/pod/db", "SELECT ?") else 33
    return 3 if subject in ("GET /", NO_MATCH) else 40 if "red" in subject else 20


def test_an_expression_reads_the_payload_where_it_was_recorded(capture: Opened) -> None:
    rows = tables()
    for number, row in enumerate(rows["request"]):
        row["payload"] = f"GET / HTTP/1.1\\x0D\\x0Atenant: t{number % 2}\\x0D\\x0A"
    result = table(capture(assembled=False, **rows), r"tenant: (\S+)\r\n")
    assert {row.endpoint: row.requests for row in result.transactions} == {"t0": 17, "t1": 16}


def test_an_assembled_connection_gives_the_same(capture: Opened) -> None:
    lean = table(capture(assembled=False, **tables()), "endpoint")
    assert table(capture(**tables()), "endpoint") == lean


def test_a_hostile_name_is_a_value(capture: Opened) -> None:
    rows = tables()
    rows["request"][0]["endpoint"] = "'; DROP TABLE request; --"
    result = table(capture(assembled=False, **rows), "endpoint")
    assert "'; DROP TABLE request; --" in {row.endpoint for row in result.transactions}


@pytest.mark.parametrize("by", NAMES)
def test_no_request_leaves_the_bill_to_nobody(capture: Opened, by: str) -> None:
    result = table(capture(assembled=False), by)
    assert result.transactions == []
    assert result.idle_usd == result.bill_usd


def test_what_recording_used_is_a_line_of_its_own(capture: Opened) -> None:
    """The recorder and its own bpftrace; not a bpftrace that somebody else started."""
    rows = tables()
    rows["process_stat"] = [
        {"ts_ns": 10**9, "pid": RECORDER, "cpu_ns": 30 * MS},
        {"ts_ns": 10**9, "pid": BPFTRACE, "cpu_ns": None, "user_ns": 8 * MS, "system_ns": 2 * MS},
        {"ts_ns": 10**9, "pid": 999, "cpu_ns": 100 * MS},
    ]
    result = table(capture(assembled=False, **rows), "endpoint")
    # 400 ms in all, 63 of requests: 337, of which 40 are the tracer's.
    both = result.tracer_usd + sum(
        (r.cost_usd for r in result.rows if (r.kind, r.resource) == ("unattributed", "cpu")),
        Decimal(0),
    )
    assert result.tracer_usd == pytest.approx(both * 40 / 337, abs=Decimal("1e-11"))
    assert {row.kind for row in result.rows} == {"request", "tracer", "unattributed", "idle"}


def written(pid: int, pages: int, inode: int = 1) -> dict[str, Any]:
    return {"ts_ns": 10**9, "pid": pid, "comm": "kworker/u8:6", "inode": inode, "pages": pages}


def dirty(pid: int, pages: int, inode: int = 1) -> dict[str, Any]:
    return {"ts_ns": 10**9, "pid": pid, "inode": inode, "dirtied": pages}


def test_write_back_is_charged_to_the_process_that_dirtied_the_pages(capture: Opened) -> None:
    """Of 100 pages: 30 the app's, 20 the database's, 10 a stranger's, 40 from before."""
    block = {"ts_ns": 900 * MS, "pid": KWORKER, "tid": KWORKER, "dev": 8 << 20, "rwbs": "W"}
    rows = tables() | {
        "page_cache": [dirty(APP, 30), dirty(DATABASE, 20), dirty(555, 10), dirty(APP, 9, 2)],
        "writeback": [written(KWORKER, 100)],
        "block_io": [block | {"bytes": 4096, "device_ns": MS} for _ in range(100)],
        "host_disk": [
            {"ts_ns": 10**9, "dev": 8 << 20, "disk": "sda", "writes": 120, "write_bytes": 491_520}
        ],
    }
    connection = capture(assembled=False, **rows)
    used = connection.execute(
        "SELECT service, SUM(disk_ios), SUM(disk_bytes) FROM cost_usage GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    assert used == [("postgres", 20, 81_920), ("shop", 30, 122_880)]
    rest = dict(connection.execute("SELECT resource, use FROM cost_unattributed").fetchall())
    assert (rest["disk_ios"], rest["disk_bytes"]) == (70, 286_720)
    result = table(connection, "service")
    assert {row.layer for row in result.rows if row.part == "disk_capacity"} == {"app", "database"}


def test_without_its_probes_write_back_stays_unattributed(capture: Opened) -> None:
    block = {"ts_ns": 900 * MS, "pid": KWORKER, "tid": KWORKER, "dev": 8 << 20, "rwbs": "W"}
    connection = capture(
        assembled=False, **tables(), block_io=[block | {"bytes": 4096, "device_ns": MS}]
    )
    assert connection.execute("SELECT SUM(disk_ios) FROM cost_usage").fetchone() == (0,)


def priced_by(*networks: Network) -> CostModel:
    file = msgspec.structs.replace(AWS.file, network=networks)
    return replace(AWS, file=file, networks=tuple(PricedNetwork(one, ()) for one in networks))


def test_traffic_is_priced_by_the_first_class_that_has_its_address(capture: Opened) -> None:
    """3000 bytes came from 203.0.113.9, 150 went there; the rest of the host's is nobody's."""
    gib = Decimal(1024**3)
    model = priced_by(
        Network("peer", Decimal(1000), "in", ("203.0.113.0/24",)),
        Network("never", Decimal(5000), "both", ("203.0.113.9/32",)),
        Network("internet", Decimal(100), "out"),
    )
    result = table(capture(assembled=False, **tables()), "endpoint", model)
    lines = {line.item: line.cost_usd for line in result.bill}
    assert lines["network peer"] == (3000 * 1000 / gib).quantize(Decimal("1e-12"))
    assert lines["network never"] == 0
    # 200 - 150 bytes were sent by no request.
    assert lines["network internet"] == (50 * 100 / gib).quantize(Decimal("1e-12"))
    marginal = {t.endpoint: t.marginal_usd for t in result.transactions}
    assert marginal["GET /"] == 0 < marginal["GET /shop/red/order"]


def test_traffic_of_no_class_is_free_and_said(capture: Opened) -> None:
    model = priced_by(Network("inside", Decimal(1), "both", ("10.0.0.0/8", "fd00::/8")))
    result = table(capture(assembled=False, **tables()), "endpoint", model)
    assert any("no [[network]] is for 1 of the addresses" in said for said in result.warnings)
    assert any("priced as inside, the dearest" in said for said in result.warnings)
    assert all(transaction.marginal_usd == 0 for transaction in result.transactions)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("endpont", "no such dimension: endpont"),
        ("a(b", "wrong at character 2, missing )"),
        ("(a)[z", "wrong at character 4, missing ]"),
        ("a{1001}(b)", "wrong at character 2, invalid repetition size"),
        ("(?=a)(b)", "wrong at character 1, invalid perl operator"),
        (r"a\(b", "needs one group: it has no group"),
        ("(a)(b)", "needs one group: it has several"),
    ],
)
def test_a_wrong_dimension_is_one_clear_line(word: str, said: str) -> None:
    with duckdb.connect() as connection, pytest.raises(UsageError) as caught:
        dimension(word, connection)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
