"""A real, uninstrumented stack: nginx → haproxy → a Python application → PostgreSQL."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stackledger.errors import StackledgerError
from stackledger.labs import disk, folders, gateway, nats, postgres, programs, servers, throttle
from stackledger.labs.places import HERE, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from stackledger.labs.network import Network

PROGRAMS = ("nginx", "haproxy", "postgres", "setpriv")
SERVICES = ("gateway", "sidecar", "app", "database")

# A path for the load generator per endpoint; {1-40000} is a number of its choice.
ORDERS_PATH = f"/api/orders/{{1-{postgres.ORDERS}}}"
HOT_PATH, WARM_PATH = "/api/orders/{1-2000}", "/api/orders/{1-12000}"
MIXED_PATH = f"/api/mixed?id={{1-{postgres.ORDERS}}}"
PAY_PATH = f"/api/pay/{{1-{postgres.ORDERS}}}"
SAVE_PATH = "/api/save/{1-40000}"
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
    disk: disk.Disk | None
    network: Network | None

    @property
    def app_url(self) -> str:
        """The application's own address, past the gateway and the sidecar."""
        return f"http://127.0.0.1:{self.ports['app']}"

    def pids(self) -> dict[str, list[int]]:
        """Return the processes of each service by name, children included."""
        return {name: running.pids() for name, running in self.servers.items()}

    def stats(self) -> dict[str, dict[str, int]]:
        """Return what the application itself counted, by endpoint.

        `requests` served, `cpu_ns` and `wall_ns` of its threads, `waited_ns` for a lock or asleep.
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
        self.set_iops(read_iops, None)

    def set_memory(self, limit_bytes: int | None) -> None:
        """Change the limit on the database's memory, page cache included; None lifts it."""
        if self.limit is None:
            raise StackledgerError("the stack was started without limits")
        self.limit.set_memory(limit_bytes)

    def set_iops(self, read_iops: int | None, write_iops: int | None) -> None:
        """Change both limits on the database's disk; None lifts one."""
        if self.limit is None:
            raise StackledgerError("the stack was started without a throttled disk")
        self.limit.set(read_iops, write_iops)

    @property
    def values(self) -> dict[str, int | None]:
        """What figures can name: `dev`, the number of the stack's own disk, if it has one."""
        return {"dev": None if self.disk is None else self.disk.dev}

    @property
    def inside(self) -> list[str]:
        """The words before a command that is to reach the gateway."""
        return [] if self.network is None else self.network.near.inside

    def lose(self, share: float) -> None:
        """Lose that share of the packets that come from the far end of the network."""
        if self.network is None:
            raise StackledgerError("the stack was started without a network of its own")
        self.network.lose(share)


@contextmanager
def stack(
    *,
    own_disk: bool = False,
    limited: tuple[str, ...] = (),
    throttle_read_iops: int | None = None,
    unix_socket: bool = False,
    ports: Mapping[str, int] | None = None,
    base: Path | None = None,
    network: Network | None = None,
    far: tuple[str, ...] = (),
    broker: bool = False,
) -> Iterator[Stack]:
    """Run the stack for as long as the context lasts.

    `throttle_read_iops` limits the database's reads from its disk; the
    services in `limited` (app, database) can be limited later. With `own_disk` the
    files of both are on a disk of their own, and it is that one that is limited. With
    `unix_socket` the application reaches the database over its Unix socket.
    `ports` fixes the port of some services (gateway, sidecar, app, database);
    the others get free ones. `base` is where the private folder is made. With a
    `network`, all run in its namespaces, the services in `far` at the far end. With
    `broker` there is a NATS server besides, which the application tells of a checkout.

    Call it in the main thread: when the thread that started a server ends, the
    kernel stops that server.

    Raises StackledgerError, with nothing left behind, when a program is missing
    or a server does not start.
    """
    programs.require_root("starting the lab's stack")
    programs.programs(PROGRAMS)
    chosen = servers.free_ports((*SERVICES, "broker")) | dict(ports or {})
    at = {name: _place(name, network, far) for name in SERVICES}
    with ExitStack() as running:
        folder = running.enter_context(folders.private_folder(base))
        limit = None
        if limited or throttle_read_iops is not None:
            limit = running.enter_context(throttle.throttle(folder))
        own = running.enter_context(disk.disk(folder)) if own_disk else None
        home = own.folder if own else folder
        database = running.enter_context(
            postgres.database(folder, chosen["database"], home, at["database"])
        )
        if limit is not None and (not limited or "database" in limited):
            limit.add(database.server.pids)
        told = {}
        if broker:
            told["broker"] = running.enter_context(nats.broker(folder, chosen["broker"]))
        address = f"{at['database'].address}:{database.port}"
        app = running.enter_context(
            application(
                folder,
                chosen["app"],
                str(database.socket) if unix_socket else address,
                home=home,
                place=at["app"],
                broker=chosen["broker"] if broker else 0,
            )
        )
        if limit is not None:
            if "app" in limited:
                limit.add(app.pids)
            limit.set(throttle_read_iops)
        sidecar = running.enter_context(
            gateway.sidecar(
                folder,
                chosen["sidecar"],
                f"{at['app'].address}:{chosen['app']}",
                place=at["sidecar"],
            )
        )
        front = running.enter_context(
            gateway.gateway(
                folder,
                chosen["gateway"],
                f"{at['sidecar'].address}:{chosen['sidecar']}",
                place=at["gateway"],
            )
        )
        database.drop_cache()
        if own is not None:
            own.sync()
        yield Stack(
            url=f"http://127.0.0.1:{chosen['gateway']}",
            folder=folder,
            ports=chosen,
            servers={
                "gateway": front,
                "sidecar": sidecar,
                "app": app,
                "database": database.server,
                **told,
            },
            database=database,
            limit=limit,
            disk=own,
            network=network,
        )


def _place(service: str, network: Network | None, far: tuple[str, ...]) -> Place:
    """Return where a service listens: on loopback, unless what calls it is at the other end."""
    if network is None:
        return HERE
    if service not in far:
        return network.near.local()
    # The outermost of those at the far end is called from the near one.
    outermost = next(name for name in SERVICES if name in far)
    return network.far if service == outermost else network.far.local()


@contextmanager
def application(
    folder: Path, port: int, database: str, *, home: Path, place: Place = HERE, broker: int = 0
) -> Iterator[servers.Server]:
    """Run the application with this interpreter and this very package.

    `database` is HOST:PORT or a Unix socket; `home` is where its own files go.
    """
    argv = servers.module("stackledger.labs.app")
    argv += ["--port", str(port), "--database", database, "--folder", str(home)]
    argv += ["--address", place.address, "--broker", str(broker)]
    environment = servers.module_path()
    servers.require_free("app", port, place)
    with servers.server("app", argv, folder=folder, environment=environment, place=place) as it:
        servers.wait_until(lambda: gateway.healthy(port, place), it)
        yield it
