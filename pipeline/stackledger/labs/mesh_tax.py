"""What a service mesh takes: the same requests without sidecars, and with two of them."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stackledger.analysis import figures
from stackledger.analysis.costmodel import load_model
from stackledger.analysis.costs import cost_table
from stackledger.analysis.experiment import COST, KERNEL, Evidence, Figure, sql
from stackledger.labs import folders, gateway, network, programs, servers
from stackledger.labs.lab import Lab, Load, Phase
from stackledger.labs.stack import application

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Lost on the wire in every phase, as in a busy network.
_LOST = 0.001
_MODEL = "aws-us-east-1"
_ROUTES = ("none", "mesh", "pooled")


@dataclass
class Mesh:
    """The same application behind three gateways; the load goes to one of them."""

    network: network.Network
    ports: Mapping[str, int]
    route: str = "none"

    @property
    def url(self) -> str:
        """The chosen gateway's address."""
        return f"http://127.0.0.1:{self.ports[self.route]}"

    @property
    def inside(self) -> list[str]:
        """The words before a command that is to reach it."""
        return self.network.near.inside

    @property
    def values(self) -> Mapping[str, Any]:
        """Nothing besides the phases' own."""
        return {}

    def choose(self, route: str) -> None:
        """Send the load that way from now on."""
        self.route = route


@contextmanager
def _stage(base: Path | None) -> Iterator[Mesh]:
    """Run gateway → (sidecar → network → sidecar →) application, each way of it."""
    names = ("app", *_ROUTES, *(f"{side}-{route}" for side in "io" for route in _ROUTES[1:]))
    programs.programs(LAB.programs)
    ports = servers.free_ports(names)
    with ExitStack() as running:
        cable = running.enter_context(network.network())
        folder = running.enter_context(folders.private_folder(base))
        near, far = cable.near.local(), cable.far
        # Without a database: what it answers comes from memory.
        app = application(folder, ports["app"], "127.0.0.1:9", home=folder, place=far)
        running.enter_context(app)
        direct = f"{far.address}:{ports['app']}"
        running.enter_context(
            gateway.gateway(folder, ports["none"], direct, place=near, name="gateway-none")
        )
        for route in _ROUTES[1:]:
            reuse = route == "pooled"
            inner, outer = f"i-{route}", f"o-{route}"
            for name, place, upstream in (
                (inner, far, direct),
                (outer, near, f"{far.address}:{ports[inner]}"),
            ):
                running.enter_context(
                    gateway.sidecar(
                        folder, ports[name], upstream, place=place, name=name, reuse=reuse
                    )
                )
            running.enter_context(
                gateway.gateway(
                    folder,
                    ports[route],
                    f"127.0.0.1:{ports[outer]}",
                    place=near,
                    name=f"gateway-{route}",
                )
            )
        cable.lose(_LOST)
        yield Mesh(cable, ports)


def _usd(evidence: Evidence) -> Decimal:
    """Return what a million requests cost, without what stood idle."""
    bill = cost_table(evidence.connection, load_model(_MODEL))
    whole = sum((one.direct_usd * one.requests for one in bill.transactions), Decimal(0))
    return whole * 10**6 / sum(one.requests for one in bill.transactions)


LAB: Lab[Mesh] = Lab(
    name="mesh-tax",
    question="A gateway and an application, without a mesh and with a sidecar at each.",
    answer=(
        "Each hop costs CPU time, latency and money per request: the difference between the"
        " first column and the last. A connection for each request costs again, until it is"
        " open, which takes a second where a packet of that is lost, and until the other side"
        " has accepted it: that between the last and the middle one."
    ),
    programs=("nginx", "haproxy", "setpriv", "chrt", *network.PROGRAMS),
    stage=_stage,
    load=Load(("/api/blob?kib=8",), connections=8),
    phases=(
        Phase("none", "gateway → application", lambda it: it.choose("none")),
        Phase(
            "mesh",
            "gateway → sidecar → sidecar → application, a connection per request",
            lambda it: it.choose("mesh"),
        ),
        Phase("pooled", "the same, connections are kept", lambda it: it.choose("pooled")),
    ),
    figures=(
        *figures.SEEN,
        *figures.PARTS,
        figures.RETRANSMITTED,
        figures.OPENED,
        figures.CONNECT_P99,
        figures.CONNECT_LONGEST,
        figures.ACCEPT_P99,
        figures.BUFFER,
        sql(
            KERNEL,
            "CPU time of a request",
            "ns",
            "SELECT sum(cpu_spent_ns) / (SELECT count(*) FROM roots) FROM requests",
        ),
        Figure(COST, f"a million requests ({_MODEL})", "usd", _usd),
    ),
    warm_up=400,
)
