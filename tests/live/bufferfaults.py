"""Faults of socket buffers: on a link of 20 ms there and back, a buffer is what fits into 20 ms."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from delay_line import delay_line
from faultbed import HERE, Scene
from faultregistry import fault

from stackledger.labs import folders, gateway, servers

if TYPE_CHECKING:
    from collections.abc import Iterator

_ONE_WAY_S = 0.01
_SMALL = 8192


def _far_server(kib: int, haproxy: str = "", **environment: str) -> Iterator[Scene]:
    """Ask a server at the far end for so much, by haproxy at the near one."""
    with ExitStack() as running:
        folder = running.enter_context(folders.private_folder(None))
        near, far = running.enter_context(delay_line(folder, _ONE_WAY_S))
        port, front = servers.free_ports(["app", "front"]).values()
        argv = [sys.executable, str(HERE / "faulty_server.py"), str(port)]
        told = {"ADDRESS": far.address, "LARGE": str(kib << 10), **environment}
        app = servers.server("app", argv, folder=folder, environment=told, place=far)
        running.enter_context(app)
        config = folder / "haproxy.cfg"
        text = gateway._HAPROXY.format(
            address="127.0.0.1",
            port=front,
            upstream=f"{far.address}:{port}",
            reuse=gateway._REUSE,
        )
        config.write_text(text.replace("global\n", f"global\n    {haproxy}\n"))
        argv = [shutil.which("haproxy") or "", "-db", "-q", "-f", str(config)]
        it = servers.server("front", argv, folder=folder, place=near)
        here = near.local()
        servers.wait_until(lambda: gateway.healthy(front, here), running.enter_context(it))
        yield Scene(f"http://127.0.0.1:{front}", ["/large"], before=near.inside)


@fault("network_wait", "gateway")
def far_away() -> Iterator[Scene]:
    yield from _far_server(512)


@fault("socket_buffers", "app")
def small_send_buffer() -> Iterator[Scene]:
    yield from _far_server(512, SEND_BUFFER=str(_SMALL))


@fault("socket_buffers", "gateway")
def small_receive_buffer() -> Iterator[Scene]:
    # All of it fits into the sender's buffer, and is not waited for there.
    yield from _far_server(128, f"tune.rcvbuf.server {_SMALL}")
