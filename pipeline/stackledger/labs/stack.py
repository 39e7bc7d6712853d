"""A real, uninstrumented stack: nginx → haproxy → a Python application → PostgreSQL."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stackledger.errors import StackledgerError
from stackledger.labs import folders, gateway, postgres, programs, servers, throttle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PROGRAMS = ("nginx", "haproxy", "postgres", "setpriv")
SERVICES = ("gateway", "sidecar", "app", "database")

# A path for the load generator per endpoint; {1-40000} is a number of its choice.
ORDERS_PATH = f"/api/orders/{{1-{postgres.ORDERS}}}"
MIXED_PATH = f"/api/mixed?id={{1-{postgres.ORDERS}}}"
SEARCH_PATH = "/api/search?q=abc"


@dataclass(frozen=True)
class Stack:
    """A running stack; `url` is the gateway's, and is where the load goes."""

    url: str
    folder: Path
    ports: Mapping[str, int]
    servers: Mapping[str, servers.Server]
    database: postgres.Database
    limit: throttle.Throttle | None

    @property
    def app_url(self) -> str:
        """The application's own address, past the gateway and the sidecar."""
        return f"http://127.0.0.1:{self.ports['app']}"

    def pids(self) -> dict[str, list[int]]:
        """Return the processes of each service by name, children included."""
        return {name: running.pids() for name, running in self.servers.items()}

    def stats(self) -> dict[str, dict[str, int]]:
        """Return what the application itself counted, by endpoint.

        `requests` served, `cpu_ns` of its threads, `waited_ns` for the lock or asleep.
        """
        counted: dict[str, dict[str, int]] = json.loads(gateway.get(f"{self.app_url}/stats"))
        return counted

    def get(self, path: str) -> Any:
        """Return the decoded answer to one request through the whole stack."""
        return json.loads(gateway.get(self.url + path))

    def drop_cache(self) -> None:
        """Make the next reads of `orders` come from the disk."""
        self.database.drop_cache()

    def warm_cache(self) -> None:
        """Make the next reads of `orders` come from memory."""
        self.database.warm_cache()

    def set_read_iops(self, read_iops: int | None) -> None:
        """Change the limit on the database's disk; None lifts it."""
        if self.limit is None:
            raise StackledgerError("the stack was started without a throttled disk")
        self.limit.set(read_iops)


@contextmanager
def stack(
    *,
    throttle_read_iops: int | None = None,
    unix_socket: bool = False,
    ports: Mapping[str, int] | None = None,
    base: Path | None = None,
) -> Iterator[Stack]:
    """Run the stack for as long as the context lasts.

    `throttle_read_iops` limits the database's reads from its disk. With
    `unix_socket` the application reaches the database over its Unix socket.
    `ports` fixes the port of some services (gateway, sidecar, app, database);
    the others get free ones. `base` is where the private folder is made.

    Call it in the main thread: when the thread that started a server ends, the
    kernel stops that server.

    Raises StackledgerError, with nothing left behind, when a program is missing
    or a server does not start.
    """
    programs.require_root("starting the lab's stack")
    programs.programs(PROGRAMS)
    chosen = servers.free_ports(SERVICES) | dict(ports or {})
    with ExitStack() as running:
        folder = running.enter_context(folders.private_folder(base))
        limit = None
        if throttle_read_iops is not None:
            limit = running.enter_context(throttle.throttle(folder))
        database = running.enter_context(postgres.database(folder, chosen["database"]))
        if limit is not None:
            limit.add(database.server.pids)
            limit.set(throttle_read_iops)
        address = str(database.socket) if unix_socket else f"127.0.0.1:{database.port}"
        app = running.enter_context(_application(folder, chosen["app"], address))
        sidecar = running.enter_context(
            gateway.sidecar(folder, chosen["sidecar"], upstream=chosen["app"])
        )
        front = running.enter_context(
            gateway.gateway(folder, chosen["gateway"], upstream=chosen["sidecar"])
        )
        database.drop_cache()
        yield Stack(
            url=f"http://127.0.0.1:{chosen['gateway']}",
            folder=folder,
            ports=chosen,
            servers={"gateway": front, "sidecar": sidecar, "app": app, "database": database.server},
            database=database,
            limit=limit,
        )


@contextmanager
def _application(folder: Path, port: int, database: str) -> Iterator[servers.Server]:
    """Run the application with this interpreter and this very package."""
    argv = servers.module("stackledger.labs.app")
    argv += ["--port", str(port), "--database", database]
    servers.require_free("app", port)
    with servers.server("app", argv, folder=folder, environment=servers.module_path()) as it:
        servers.wait_until(lambda: gateway.healthy(port), it)
        yield it
