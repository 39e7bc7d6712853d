"""A second real stack, of other servers: nginx → a Node.js application → Redis."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackledger.labs import folders, gateway, programs, servers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROGRAMS = ("nginx", "node", "redis-server", "setpriv")
SERVICES = ("gateway", "app", "cache")

ITEMS_PATH = "/api/items/{1-10000}"
SPIN_PATH = "/api/spin"


@dataclass(frozen=True)
class NodeStack:
    """A running stack; `url` is the gateway's, and is where the load goes."""

    url: str
    folder: Path
    ports: Mapping[str, int]
    servers: Mapping[str, servers.Server]

    @property
    def app_url(self) -> str:
        """The application's own address, past the gateway."""
        return f"http://127.0.0.1:{self.ports['app']}"

    def pids(self) -> dict[str, list[int]]:
        """Return the processes of each service by name, children included."""
        return {name: running.pids() for name, running in self.servers.items()}

    def stats(self) -> dict[str, dict[str, float]]:
        """Return what the application itself counted, by endpoint: requests, µs of its loops."""
        counted: dict[str, dict[str, float]] = json.loads(gateway.get(f"{self.app_url}/stats"))
        return counted

    def get(self, path: str) -> Any:
        """Return the decoded answer to one request through the whole stack."""
        return json.loads(gateway.get(self.url + path))


@contextmanager
def node_stack(
    *, ports: Mapping[str, int] | None = None, base: Path | None = None
) -> Iterator[NodeStack]:
    """Run the stack for as long as the context lasts; the options are those of `stack`."""
    programs.require_root("starting the lab's stack")
    programs.programs(PROGRAMS)
    chosen = servers.free_ports(SERVICES) | dict(ports or {})
    with ExitStack() as running:
        folder = running.enter_context(folders.private_folder(base))
        store = running.enter_context(cache(folder, chosen["cache"]))
        app = running.enter_context(_application(folder, chosen["app"], chosen["cache"]))
        front = running.enter_context(
            gateway.gateway(folder, chosen["gateway"], upstream=chosen["app"])
        )
        yield NodeStack(
            url=f"http://127.0.0.1:{chosen['gateway']}",
            folder=folder,
            ports=chosen,
            servers={"gateway": front, "app": app, "cache": store},
        )


@contextmanager
def cache(folder: Path, port: int) -> Iterator[servers.Server]:
    """Run Redis without persistence, as an unprivileged user in a folder of its own."""
    user = programs.unprivileged_user()
    home = folder / "redis"
    home.mkdir(mode=0o700)
    shutil.chown(home, user)
    argv = [programs.programs(["redis-server"])["redis-server"]]
    argv += ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(home)]
    argv += ["--save", "", "--appendonly", "no", "--daemonize", "no"]
    servers.require_free("cache", port)
    with servers.server("cache", argv, folder=folder, user=user) as it:
        servers.wait_until(lambda: servers.accepts(port), it)
        yield it


@contextmanager
def _application(folder: Path, port: int, cache: int) -> Iterator[servers.Server]:
    """Run the Node.js application; it listens once it has filled Redis."""
    script = Path(__file__).with_name("node_app.js")
    argv = [programs.programs(["node"])["node"], str(script), str(port), str(cache)]
    servers.require_free("app", port)
    with servers.server("app", argv, folder=folder) as it:
        servers.wait_until(lambda: gateway.healthy(port), it)
        yield it
