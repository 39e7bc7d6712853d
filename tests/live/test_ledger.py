"""The ledger on live stacks: every figure it has to hold, on bpftrace as it is and on others.

Five recordings serve all tests: the stack with a quick disk, with a slow one, with
PostgreSQL behind its Unix socket; the Node.js stack; and a small server on ::1.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stackledger import catalog, resources
from stackledger.capture.writer import arrow_schema
from stackledger.labs import load, node_stack, servers, stack
from stackledger.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
PARTS = ("cpu", "runq", "disk", "lock", "sleep", "queue", "net", "downstream", "other")
ORDERS = "SELECT id, customer, note FROM orders WHERE id = $1"
PRODUCTS = "SELECT count(*), sum(price) FROM products WHERE id % ?…"
WORD = "zqxwv"
FIRST_ID, SECRET_ID = 100_000_000_000_000, 987_654_321_012_345
EPOLL_WAIT = 232

# Name of each load of the quick stack: paths, and options.
LOADS: dict[str, tuple[list[str], dict[str, float]]] = {
    "low": (
        [stack.ORDERS_PATH, f"/api/search?q={WORD}"],
        {"rate_hz": 150, "connections": 8, "requests": 307},
    ),
    "busy": (["/api/busy"], {"rate_hz": 40, "connections": 1, "requests": 101}),
    "sleep": (["/api/sleep"], {"rate_hz": 80, "connections": 2, "requests": 101}),
    "lock": (["/api/lock"], {"rate_hz": 80, "connections": 4, "requests": 199}),
    "high": ([stack.MIXED_PATH], {"connections": 16, "requests": 997}),
    "fast": (["/health"], {"rate_hz": 1500, "connections": 32, "requests": 2999}),
}
SENT = {
    "GET /api/busy": 101,
    "GET /api/sleep": 101,
    "GET /api/lock": 199,
    "GET /api/mixed": 997,
    "GET /health": 2999,
    "GET /nowhere/{id}": 199,
}


@dataclass(frozen=True)
class Run:
    """A recording, the lab's ports, and what the application counted meanwhile, by endpoint."""

    recorded: Any
    ports: dict[str, int]
    counted: dict[str, dict[str, float]]


def _load(url: str, paths: list[str], options: dict[str, float]) -> list[str]:
    return load.command(url, paths, **options)


def _difference(
    before: dict[str, dict[str, float]], after: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    return {
        f"GET {endpoint}": {
            name: count - before.get(endpoint, {}).get(name, 0) for name, count in counts.items()
        }
        for endpoint, counts in after.items()
        if endpoint != "/stats"
    }


@pytest.fixture(scope="module")
def labs_stack(stack_programs: None) -> Iterator[stack.Stack]:
    with stack.stack(throttle_read_iops=200) as running:
        running.set_read_iops(None)
        load.apart(running.url, ["/api/lock", stack.ORDERS_PATH], requests=101, connections=32)
        yield running


@pytest.fixture(scope="module")
def quick(labs_stack: stack.Stack, recorder: Any, undisturbed: Any) -> Run:
    """The stack with everything in memory."""
    labs_stack.warm_cache()
    for paths, _ in LOADS.values():
        # What the database reads of its own catalogue, too.
        load.apart(labs_stack.url, paths, requests=32, connections=16)
    port = labs_stack.ports["gateway"]
    commands = {name: _load(labs_stack.url, *load) for name, load in LOADS.items()}
    commands["precise"] = [sys.executable, str(HERE / "precise_client.py")]
    commands["precise"] += [str(port), "/nowhere/{n}", "199", "100"]

    def attempt() -> Run:
        before = labs_stack.stats()
        recorded = recorder(commands, [port])
        return Run(recorded, dict(labs_stack.ports), _difference(before, labs_stack.stats()))

    return undisturbed(attempt)


def _cold(labs_stack: stack.Stack) -> None:
    """Have nothing in memory but the top of the index.

    All callers would wait at once for whoever reads that, and `other` is such a wait.
    """
    labs_stack.drop_cache()
    load.apart(labs_stack.url, [stack.ORDERS_PATH], requests=11, connections=1)


@pytest.fixture(scope="module")
def slow(labs_stack: stack.Stack, quick: Run, recorder: Any, undisturbed: Any) -> Run:
    """The same stack, its database limited to 200 reads a second."""
    labs_stack.set_read_iops(200)
    orders = _load(labs_stack.url, [stack.ORDERS_PATH], {"connections": 16, "requests": 499})

    def attempt() -> Run:
        _cold(labs_stack)
        before = labs_stack.stats()
        recorded = recorder({"orders": orders}, [labs_stack.ports["gateway"]])
        return Run(recorded, dict(labs_stack.ports), _difference(before, labs_stack.stats()))

    return undisturbed(attempt)


@pytest.fixture(scope="module")
def unix(stack_programs: None, recorder: Any, undisturbed: Any) -> Run:
    """A stack whose database is reached over its Unix socket; and two that want one lock of it."""
    with stack.stack(unix_socket=True) as running:
        running.warm_cache()
        mixed = _load(running.url, [stack.MIXED_PATH], {"connections": 8, "requests": 499})
        wait = [sys.executable, "-c", _ADVISORY_LOCK, str(running.database.port)]
        ports = [running.ports["gateway"], running.database.port]

        def attempt() -> Run:
            before = running.stats()
            recorded = recorder({"mixed": mixed, "wait": wait}, ports)
            return Run(recorded, dict(running.ports), _difference(before, running.stats()))

        return undisturbed(attempt)


_ADVISORY_LOCK = """
import sys, threading, time
from stackledger.labs.pgwire import Connection
first, second = (
    Connection(("127.0.0.1", int(sys.argv[1])), user="lab", database="postgres") for _ in "12"
)
first.query("SELECT pg_advisory_lock(7)")
waiting = threading.Thread(target=second.query, args=["SELECT pg_advisory_lock(7)"])
waiting.start()
time.sleep(0.5)
first.query("SELECT pg_advisory_unlock(7)")
waiting.join()
"""


@pytest.fixture(scope="module")
def node(node_programs: None, recorder: Any, undisturbed: Any) -> Run:
    """nginx, a Node.js event loop, Redis: a busy endpoint alone, then in a crowd."""
    with node_stack.node_stack() as running:
        load.apart(running.url, [node_stack.ITEMS_PATH], requests=101, connections=8)
        spin, items = node_stack.SPIN_PATH, node_stack.ITEMS_PATH
        loads: dict[str, tuple[list[str], dict[str, float]]] = {
            "alone": ([spin], {"rate_hz": 40, "connections": 1, "requests": 101}),
            "crowd": ([f"1:{spin}", f"3:{items}"], {"connections": 8, "requests": 499}),
            "fast": (["/health"], {"connections": 16, "requests": 997}),
        }
        commands = {name: _load(running.url, *load) for name, load in loads.items()}

        def attempt() -> Run:
            before = running.stats()
            recorded = recorder(commands, [running.ports["gateway"]])
            return Run(recorded, dict(running.ports), _difference(before, running.stats()))

        return undisturbed(attempt)


@pytest.fixture(scope="module")
def small(recorder: Any, undisturbed: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A threaded server on ::1: 5 connections with 23 requests each, and two never answered."""
    port = servers.free_ports(["small"])["small"]
    script = [sys.executable, str(HERE / "small_server.py")]
    ask = {"ask": [*script, "ask", str(port), "5", "23"]}

    def attempt() -> Run:
        folder = tmp_path_factory.mktemp("small")
        with servers.server("small", [*script, "serve", str(port)], folder=folder) as it:
            servers.wait_until(lambda: "ready" in it.log.read_text(), it)
            return Run(recorder(ask, [port], payload=True), {"small": port}, {})

    return undisturbed(attempt)


@pytest.fixture(scope="module", params=["quick", "slow", "unix", "node", "small"])
def run(request: pytest.FixtureRequest) -> Run:
    """Each recording in turn."""
    found: Run = request.getfixturevalue(request.param)
    return found


def near(value: float, share: float) -> object:
    return pytest.approx(value, rel=share)


def test_nothing_is_lost_nor_undecodable(run):
    for loss in run.recorded.outcome.manifest.losses:
        assert (loss.lost, loss.undecodable) == (0, 0), loss
        assert loss.produced == loss.received, loss


def test_the_parts_sum_to_the_wall_time_of_every_request(run):
    requests, wrong, smallest = run.recorded.one(
        "SELECT count(*), count(*) FILTER (sum_ns <> wall_ns), min(smallest_ns) FROM mine"
    )
    assert requests > 100
    assert wrong == 0
    assert smallest >= 0


def test_next_to_nothing_is_unexplained_in_any_layer(run):
    layers = run.recorded.rows(
        "SELECT layer, sum(unexplained_ns) / sum(wall_ns) FROM mine WHERE complete GROUP BY layer"
    )
    assert layers
    assert [layer for layer in layers if layer[1] > 0.02] == []


def test_the_calls_are_linked(run):
    calls, linked, owned = run.recorded.one(
        """
        SELECT count(*), count(*) FILTER (f.grade <> 'untraced'), count(f.sock)
        FROM call AS c
        JOIN mine AS m ON m.sock = c.owner_sock AND m.recv_ts_ns = c.owner_recv_ts_ns
        LEFT JOIN calls AS f ON f.sock = c.sock AND f.ts_ns = c.ts_ns
        WHERE c.endpoint <> '(terminate)'
        """
    )
    if "small" not in run.ports:
        assert calls > 100
    assert owned == calls
    assert linked >= 0.99 * calls


def test_the_tree_sums_to_the_roots(run):
    """Each root's wall time is what its transaction's requests have on the critical path."""
    roots, wrong = run.recorded.one(
        """
        WITH root AS (
          SELECT t.root_sock, t.root_recv_ts_ns, max(wall_ns) FILTER (depth = 0) AS wall_ns,
            sum((q.wall_ns - q.downstream_ns) * t.critical_share) AS below_ns,
            count(*) AS requests
          FROM tree AS t JOIN mine AS q USING (sock, recv_ts_ns, depth)
          GROUP BY ALL
        )
        SELECT count(*), count(*) FILTER (abs(wall_ns - below_ns) > 10 * requests) FROM root
        WHERE root_sock NOT IN (SELECT parent_sock FROM untraced)
        """
    )
    assert roots > 100
    assert wrong == 0


def test_the_files_are_of_the_registrys_schema(run):
    folder = run.recorded.outcome.folder
    parts = sorted(folder.glob("*/part-*.parquet"))
    assert {part.parent.name for part in parts} >= {"connection", "request", "process", "host_cpu"}
    for part in parts:
        wanted = arrow_schema(part.parent.name)
        assert pq.read_schema(part).remove_metadata() == wanted, part
        assert [column.name for column in TABLES[part.parent.name].columns] == wanted.names


def test_exactly_the_requests_sent_are_recorded_in_every_layer(quick):
    sent = dict(SENT)
    for one in quick.recorded.loads["low"].endpoints:
        sent[f"GET {one.endpoint}"] = one.requests
    assert sum(sent.values()) == 307 + 101 + 101 + 199 + 997 + 2999 + 199
    assert sum(result.errors for result in quick.recorded.loads.values()) == 0
    for layer in ("gateway", "sidecar", "app"):
        found = quick.recorded.rows(
            "SELECT endpoint, count(*)::INTEGER FROM mine WHERE layer = $1 GROUP BY 1", layer
        )
        assert dict(found) == sent, layer
        # And none beside them, in no tree of ours.
        (all_of_them,) = quick.recorded.one(
            "SELECT count(*) FROM request JOIN flow USING (sock, conn_ts_ns) WHERE server_port=$1",
            quick.ports[layer],
        )
        assert all_of_them == sum(sent.values()), layer
    sent["GET other"] = sent.pop("GET /nowhere/{id}")
    counted = {name: counts["requests"] for name, counts in quick.counted.items()}
    assert {name: count for name, count in counted.items() if count} == sent


def test_exactly_the_statements_run_are_recorded(quick):
    orders = quick.counted["GET /api/orders/{id}"]["requests"]
    found = dict(
        quick.recorded.rows(
            "SELECT endpoint, count(*) FROM mine WHERE layer = 'database' GROUP BY 1"
        )
    )
    assert found.pop("(startup)", 0) < 100
    assert found == {
        ORDERS: orders + 997,
        PRODUCTS: 997,
        "SELECT id, name FROM products WHERE name LIKE ?…": 307 - orders,
    }


def test_no_value_of_a_request_is_in_the_files(quick):
    """Ids in paths, query strings, SQL literals and arguments."""
    folder = quick.recorded.outcome.folder
    seen = 0
    for part in folder.glob("*/part-*.parquet"):
        table = pq.read_table(part)
        for column in table.columns:
            if not (pa.types.is_string(column.type) or pa.types.is_binary(column.type)):
                continue
            for value in column.unique().to_pylist():
                text = value if isinstance(value, bytes) else (value or "").encode()
                seen += 1
                assert WORD.encode() not in text
                assert not any(str(FIRST_ID + n).encode() in text for n in range(199))
        if part.parent.name == "request":
            assert table.column("payload").null_count == table.num_rows
    assert seen > 20


@pytest.mark.parametrize("load_name", ["busy", "sleep", "lock", "high"])
def test_the_roots_mean_is_what_the_load_generator_reports(quick, load_name):
    for one in quick.recorded.loads[load_name].endpoints:
        (mean_ns,) = quick.recorded.one(
            "SELECT avg(wall_ns) FROM mine WHERE depth = 0 AND endpoint = $1",
            f"GET {one.endpoint}",
        )
        assert_reported(mean_ns, one)


def assert_reported(mean_ns: float, one: load.EndpointLoad) -> None:
    """Within 3 % of the load generator, whose own wait for a CPU is not the server's time."""
    assert 0.97 * one.arrival_mean_ns < mean_ns < 1.03 * one.mean_ns


def test_the_mean_of_short_requests_is_what_the_kernel_reports(quick):
    """Of half a millisecond: by the arrival of the answer, not by when a client saw it."""
    reported_ns = float(_said(quick, "precise"))
    (mean_ns,) = quick.recorded.one(
        "SELECT avg(wall_ns) FROM mine WHERE depth = 0 AND endpoint = 'GET /nowhere/{id}'"
    )
    # The client's own send, up to the arrival at the server, is in its figure too: 20 us,
    # and a slice of a scheduler now and then.
    assert -0.02 * reported_ns < reported_ns - mean_ns < 100_000
    for name in ("low", "fast"):
        for one in quick.recorded.loads[name].endpoints:
            (mean_ns,) = quick.recorded.one(
                "SELECT avg(wall_ns) FROM mine WHERE depth = 0 AND endpoint = $1",
                f"GET {one.endpoint}",
            )
            # The client's own wake-up is in its figure, and not in the stack's.
            assert one.mean_ns - mean_ns > -50_000
            assert one.arrival_mean_ns - mean_ns < 400_000


def _said(run: Run, name: str) -> str:
    (path,) = run.recorded.outcome.folder.parents[2].glob(name)
    return path.read_text()


def test_a_busy_loop_is_cpu_of_its_endpoint_and_of_no_other_layer(quick):
    counted = quick.counted["GET /api/busy"]
    means = dict(
        quick.recorded.rows(
            "SELECT layer, avg(cpu_ns) FROM mine WHERE root_endpoint = 'GET /api/busy' GROUP BY 1"
        )
    )
    # What a hypervisor steals is on the ledger's clock, not on the thread's own.
    cpu_ns, wall_ns = (counted[name] / counted["requests"] for name in ("cpu_ns", "wall_ns"))
    assert cpu_ns == near(10e6, 0.05)
    assert 0.95 * cpu_ns < means["app"] < 1.05 * wall_ns
    assert all(mean_ns < 0.05 * wall_ns for layer, mean_ns in means.items() if layer != "app")
    others = quick.recorded.rows(
        """
        SELECT endpoint, avg(cpu_ns) FROM mine
        WHERE layer = 'app' AND endpoint <> 'GET /api/busy' GROUP BY 1
        """
    )
    assert len(others) > 5
    assert all(cpu_ns < 1e6 for _endpoint, cpu_ns in others)


def test_cpu_is_what_the_application_measured_itself(quick):
    """The threads' own clocks, per endpoint; they miss the receive before and the sum after."""
    for endpoint in ("GET /api/busy", "GET /api/mixed", "GET /health"):
        counted = quick.counted[endpoint]
        spent_ns, requests = quick.recorded.one(
            "SELECT sum(cpu_spent_ns), count(*) FROM mine WHERE layer = 'app' AND endpoint = $1",
            endpoint,
        )
        most_ns = counted["cpu_ns"] * 1.05 + requests * 150_000
        if endpoint == "GET /api/busy":
            most_ns = max(most_ns, counted["wall_ns"] * 1.05)
        assert counted["cpu_ns"] * 0.97 < spent_ns < most_ns


def test_a_sleep_is_sleep(quick):
    counted = quick.counted["GET /api/sleep"]
    sleep_ns, cpu_ns, lock_ns, runq_ns = quick.recorded.one(
        """
        SELECT avg(sleep_ns), avg(cpu_ns), avg(lock_ns), avg(runq_ns) FROM mine
        WHERE layer = 'app' AND endpoint = 'GET /api/sleep'
        """
    )
    assert sleep_ns > 0.95 * 10e6
    # The application's own clock also counts how long it took to get a CPU again.
    waited_ns = counted["waited_ns"] / counted["requests"]
    assert sleep_ns < 1.01 * waited_ns
    assert waited_ns < 1.02 * (sleep_ns + lock_ns + runq_ns)
    assert cpu_ns < 1e6
    assert lock_ns < 0.5e6


def test_a_lock_held_by_another_thread_is_lock(quick):
    counted = quick.counted["GET /api/lock"]
    lock_ns, sleep_ns, cpu_ns = quick.recorded.one(
        """
        SELECT sum(lock_ns), sum(sleep_ns), avg(cpu_ns) FROM mine
        WHERE layer = 'app' AND endpoint = 'GET /api/lock'
        """
    )
    assert lock_ns == near(counted["waited_ns"], 0.05)
    assert sleep_ns < 0.01 * lock_ns
    assert cpu_ns < 1e6


def test_a_slow_disk_is_disk_of_the_database(slow):
    (result,) = slow.recorded.loads.values()
    assert (result.requests, result.errors) == (499, 0)
    assert slow.counted["GET /api/orders/{id}"]["requests"] == 499
    requests, mean_ns = slow.recorded.one("SELECT count(*), avg(wall_ns) FROM mine WHERE depth = 0")
    assert requests == 499
    assert_reported(mean_ns, result.endpoint("/api/orders/{id}"))
    share = _disk_share(slow)
    assert share >= 0.9
    (elsewhere,) = slow.recorded.one(
        "SELECT sum(disk_ns) / sum(wall_ns) FROM mine WHERE layer <> 'database'"
    )
    assert elsewhere < 0.01


def test_a_disks_time_is_its_own_where_the_kernel_told_of_no_return_to_the_cpu(
    labs_stack, slow, recorder, undisturbed, tmp_path
):
    """A program that the kernel does not run, here one in five, costs no time that is known."""
    blind = tmp_path / "probes"
    shutil.copytree(resources.folder("probes"), blind)
    program = blind / "ledger" / "request_ledger.bt"
    seen, text = "  $next = (uint64)args->next_pid;\n", program.read_text()
    assert text.count(seen) == 1
    program.write_text(text.replace(seen, seen + "  if ($now % 5 == 0) { return; }\n"))
    orders = _load(labs_stack.url, [stack.ORDERS_PATH], {"connections": 16, "requests": 199})
    labs_stack.set_read_iops(200)

    def attempt() -> Run:
        _cold(labs_stack)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(catalog, "folder", {"probes": blind}.__getitem__)
            recorded = recorder({"orders": orders}, [labs_stack.ports["gateway"]])
        return Run(recorded, dict(labs_stack.ports), {})

    run = undisturbed(attempt)
    assert run.recorded.one("SELECT count(*) FROM mine WHERE depth = 0") == (199,)
    assert _disk_share(run) >= 0.9
    (unexplained,) = run.recorded.one(
        "SELECT sum(unexplained_ns) / sum(wall_ns) FROM mine WHERE layer = 'database'"
    )
    assert 0 < unexplained < 0.02


def test_a_quick_disk_is_not(quick):
    assert _disk_share(quick) <= 0.1


def _disk_share(run: Run) -> float:
    (share,) = run.recorded.one(
        "SELECT sum(disk_ns) / sum(wall_ns) FROM mine"
        f" WHERE layer = 'database' AND endpoint = '{ORDERS}'"
    )
    return float(share)


def test_the_edges_of_a_unix_socket_are_exact(unix):
    grades = unix.recorded.rows(
        """
        SELECT c.grade, c.server_addr, count(*) FROM calls AS c
        JOIN mine AS m ON m.sock = c.owner_sock AND m.recv_ts_ns = c.owner_recv_ts_ns
        WHERE m.layer = 'app' GROUP BY ALL
        """
    )
    assert [grade[:2] for grade in grades] == [("exact", "unix socket")]
    assert grades[0][2] >= 2 * 499
    statements = dict(
        unix.recorded.rows(
            """
            SELECT endpoint, count(*) FROM mine WHERE root_endpoint = 'GET /api/mixed'
            AND layer = 'database' GROUP BY 1
            """
        )
    )
    statements.pop("(startup)", None)
    assert statements == {ORDERS: 499, PRODUCTS: 499}


def test_a_lock_of_the_database_is_waited_for_under_its_system_call(unix):
    """PostgreSQL waits for a lock in epoll, as an event loop waits for anything."""
    waits = unix.recorded.rows(
        """
        SELECT wall_ns, other_ns, other_syscall, unexplained_ns FROM mine
        WHERE depth = 0 AND endpoint = 'SELECT pg_advisory_lock(?)' ORDER BY wall_ns
        """
    )
    assert len(waits) == 2
    wall_ns, other_ns, syscall, unexplained_ns = waits[1]
    assert wall_ns > 0.45e9
    assert other_ns == near(wall_ns, 0.05)
    assert syscall == EPOLL_WAIT
    assert unexplained_ns < 0.02 * wall_ns


def test_an_event_loops_requests_are_all_there(node):
    for layer, port in (("gateway", "gateway"), ("app", "app")):
        found = dict(
            node.recorded.rows(
                "SELECT endpoint, count(*) FROM mine WHERE server_port = $1 GROUP BY 1",
                node.ports[port],
            )
        )
        assert found == {name: counts["requests"] for name, counts in node.counted.items()}, layer
    assert sum(counts["requests"] for counts in node.counted.values()) == 101 + 499 + 997
    gets = node.recorded.one("SELECT count(*) FROM mine WHERE layer = 'cache' AND endpoint='GET'")
    assert gets == (node.counted["GET /api/items/{id}"]["requests"],)


def test_a_busy_loop_in_an_event_loop_is_cpu_there_and_queue_of_the_others(node):
    means = {
        endpoint: rest
        for endpoint, *rest in node.recorded.rows(
            "SELECT endpoint, avg(cpu_ns), avg(queue_ns) FROM mine WHERE layer='app' GROUP BY 1"
        )
    }
    # The loop's own clocks: what a hypervisor takes of its CPU is not the process', but ours.
    spun = node.counted["GET /api/spin"]
    cpu_ns, wall_ns = (1e3 * spun[name] / spun["requests"] for name in ("cpu_us", "wall_us"))
    assert cpu_ns == near(10e6, 0.05)
    assert 0.95 * cpu_ns < means["GET /api/spin"][0] < 1.05 * wall_ns
    assert means["GET /api/items/{id}"][0] < 1e6
    # Whoever comes to a loop that spins waits in its queue, or finds its answer there.
    queue_ns, own_ns = node.recorded.one(
        """
        SELECT sum(queue_ns), sum(wall_ns - downstream_ns - net_ns) FROM mine
        WHERE layer = 'app' AND endpoint = 'GET /api/items/{id}'
        """
    )
    assert queue_ns > 0.9 * own_ns
    assert means["GET /api/items/{id}"][1] > 10e6
    # Means: a CPU that is stolen from a virtual machine counts as used by whoever was on it.
    elsewhere = node.recorded.rows(
        "SELECT layer, avg(cpu_ns) FROM mine WHERE layer <> 'app' GROUP BY 1"
    )
    assert {layer for layer, _cpu_ns in elsewhere} == {"gateway", "cache"}
    assert all(cpu_ns < 0.5e6 for _layer, cpu_ns in elsewhere)


def test_ipv6_and_the_last_request_of_every_connection(small):
    assert small.recorded.rows(
        "SELECT endpoint, complete, count(*) FROM mine GROUP BY ALL ORDER BY ALL"
    ) == [("GET /item/{id}", True, 5 * 23), ("GET /lock", False, 1), ("GET /sleep", False, 1)]
    ends = small.recorded.rows(
        """
        SELECT accepted, family, local_addr, remote_addr, count(*) FROM connection
        WHERE $1 IN (local_port, remote_port) AND local_port <> remote_port
        GROUP BY ALL ORDER BY accepted
        """,
        small.ports["small"],
    )
    assert ends == [(False, 10, "::1", "::1", 7), (True, 10, "::1", "::1", 7)]
    ports = small.recorded.rows(
        "SELECT DISTINCT local_port FROM connection WHERE accepted AND remote_addr = '::1'"
        " AND pid = (SELECT any_value(pid) FROM mine)"
    )
    assert ports == [(small.ports["small"],)]


def test_requests_that_never_end_have_their_parts_so_far(small):
    rows = small.recorded.rows(
        "SELECT wall_ns, sleep_ns, lock_ns, unexplained_ns FROM mine WHERE NOT complete"
        " ORDER BY endpoint"
    )
    (wall_ns, sleep_ns, lock_ns, unexplained_ns) = rows[0]
    assert wall_ns > 0.5e9
    assert lock_ns == near(wall_ns, 0.02)
    assert unexplained_ns < 0.02 * wall_ns
    (wall_ns, sleep_ns, lock_ns, unexplained_ns) = rows[1]
    assert sleep_ns == near(wall_ns, 0.02)
    assert unexplained_ns < 0.02 * wall_ns


def test_the_first_bytes_are_kept_where_they_were_asked_for(small):
    payloads = small.recorded.rows(
        "SELECT DISTINCT payload FROM request JOIN mine USING (sock, recv_ts_ns)"
        " WHERE mine.endpoint = 'GET /item/{id}'"
    )
    assert payloads == [(f"GET /item/{SECRET_ID}?q=1 HTTP/1.1\r\n\r\n".encode(),)]
