"""A small capture, made row by row: a gateway that calls an application, and a disk."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from stackledger import store
from stackledger.analysis.assembly import assemble
from stackledger.manifest import Disk, Loss, Machine, Manifest, Topology
from stackledger.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    import duckdb

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000
_Row = dict[str, Any]


@dataclass
class Shop:
    """What the capture holds: `slow_ms` of disk wait in the last tenth of the requests."""

    transactions: int = 200
    endpoints: tuple[str, ...] = ("GET /api/orders/{id}",)
    gateway: str = "nginx"
    app: str = "shop"
    slow_ms: int = 80
    state: str = "complete"
    losses: list[Loss] = field(default_factory=list)
    traced_app: bool = True
    still_open: bool = False
    disk: bool = True
    host: str = "web-1"
    name: str = "incident"

    def open(self) -> duckdb.DuckDBPyConnection:
        """Return a connection to it, as `store.connect` gives, assembled."""
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            id="20231114T221320Z-0a1b2c",
            name=self.name,
            state=self.state,
            host=self.host,
            kernel="6.1",
            boot_id="b",
            machine=Machine(cpus=2, memory_bytes=1 << 33, arch="x86_64"),
            stackledger="0",
            bpftrace="bpftrace v0.17.0",
            started_ns=START_NS,
            ended_ns=START_NS + self.transactions * 100 * MS,
            options={},
            filters={},
            topology=Topology(
                disks=[
                    Disk(
                        dev=8 << 20,
                        name="sda",
                        major=8,
                        minor=0,
                        size_bytes=1 << 40,
                        rotational=False,
                    )
                ]
            ),
            probes=[],
            losses=self.losses,
        )
        connection = store.connect(store.Capture(Path("no-files"), manifest))
        rows: dict[str, list[_Row]] = defaultdict(list)
        rows["connection"] = self._connections()
        for number in range(self.transactions):
            self._transaction(number, rows)
        _fill(connection, rows)
        assemble(connection)
        return connection

    def _connections(self) -> list[_Row]:
        ends = [(10, True, 80, 50_000, 1, self.gateway), (11, False, 40_000, 8000, 1, self.gateway)]
        ends += [(20, True, 8000, 40_000, 2, self.app)] if self.traced_app else []
        return [
            {
                "ts_ns": START_NS,
                "sock": sock,
                "accepted": accepted,
                "family": 2,
                "local_addr": "127.0.0.1",
                "local_port": local_port,
                "remote_addr": "127.0.0.1",
                "remote_port": remote_port,
                "peer_sock": 0,
                "pid": pid,
                "tid": pid,
                "comm": comm,
            }
            for sock, accepted, local_port, remote_port, pid, comm in ends
        ]

    def _transaction(self, number: int, rows: dict[str, list[_Row]]) -> None:
        at = START_NS + number * 100 * MS
        slow = number % 10 == 9
        disk_ns = (self.slow_ms * MS + number * 1000) if slow else 0
        app_ns = 2 * MS + number * 1000 + disk_ns
        wall_ns = app_ns + MS
        last = number == self.transactions - 1
        common: _Row = {"conn_ts_ns": START_NS, "recv_bytes": 100, "send_bytes": 900}
        common |= {"protocol": "http", "statement": ""}
        common |= {"endpoint": self.endpoints[number % len(self.endpoints)]}
        request = {**dict.fromkeys(_NO_TIME, 0), **common, "other_syscall": -1}
        request |= {"error": slow, "status": 500 if slow else 200}
        rows["request"].append(
            request
            | {"ts_ns": at, "sock": 10, "recv_ts_ns": at + 100_000, "pid": 1, "tid": 1}
            | {"wall_ns": wall_ns, "cpu_ns": 300_000, "covered_ns": wall_ns - 400_000}
            | {"calls": 1, "complete": not (self.still_open and last)}
        )
        rows["call"].append(
            common
            | {"ts_ns": at + 300_000, "sock": 11, "owner_sock": 10, "pid": 1, "tid": 1}
            | {"owner_recv_ts_ns": at + 100_000, "wall_ns": wall_ns - 400_000, "busy_ns": 0}
            | {"answer_queue_ns": 0, "inherited": False, "complete": True}
        )
        if self.traced_app:
            rows["request"].append(
                request
                | {"ts_ns": at + 400_000, "sock": 20, "recv_ts_ns": at + 450_000}
                | {"pid": 2, "tid": 2, "wall_ns": app_ns, "cpu_ns": app_ns - disk_ns - 50_000}
                | {"disk_ns": disk_ns, "complete": True}
            )
        if self.disk and slow:
            rows["block_io"].append(
                {"ts_ns": at + app_ns, "pid": 2, "tid": 2, "comm": self.app, "dev": 8 << 20}
                | {"sector": number, "bytes": 4096, "rwbs": "R"}
                | {"queue_ns": 1000, "device_ns": disk_ns, "error": 0}
            )


_NO_TIME = (
    *("runq_ns", "disk_ns", "lock_ns", "sleep_ns", "other_ns", "covered_ns", "answer_queue_ns"),
    *("after_cpu_ns", "calls", "handovers"),
)


def _fill(connection: duckdb.DuckDBPyConnection, rows: dict[str, list[_Row]]) -> None:
    for table, values in rows.items():
        connection.register("made", pa.Table.from_pylist(values))
        connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM made")


@pytest.fixture(scope="session")
def shop() -> type[Shop]:
    """Give the class of small captures."""
    return Shop
