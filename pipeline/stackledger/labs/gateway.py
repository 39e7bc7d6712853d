"""The lab's proxies: nginx as the gateway and haproxy as the sidecar, keep-alive all along."""

from __future__ import annotations

import grp
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from stackledger.labs import programs, servers
from stackledger.labs.places import HERE, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Neither proxy ends a connection after some number of requests, adds anything of
# its own to a request, nor keeps an answer in a file.
_NGINX = """\
daemon off;
worker_processes 1;
user nobody {group};
pid {name}.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path {name}-body;
    proxy_temp_path {name}-proxy;
    fastcgi_temp_path {name}-fastcgi;
    uwsgi_temp_path {name}-uwsgi;
    scgi_temp_path {name}-scgi;
    upstream next {{
        server {upstream};
        keepalive 256;
        keepalive_requests 100000000;
        keepalive_time 1d;
    }}
    server {{
        listen {address}:{port} backlog=511;
        location / {{
            proxy_pass http://next;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_read_timeout 120s;
            proxy_buffers 16 32k;
            proxy_max_temp_file_size 0;
        }}
    }}
}}
"""

_HAPROXY = """\
global
    maxconn 1024
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 120s
    timeout server 120s
    {reuse}
frontend inbound
    bind {address}:{port}
    default_backend application
backend application
    server application {upstream}
"""

_REUSE, _CONNECT = "http-reuse always", "option http-server-close\n    http-reuse never"


@contextmanager
def gateway(
    folder: Path, port: int, upstream: str | int, *, place: Place = HERE, name: str = "gateway"
) -> Iterator[servers.Server]:
    """Run nginx on `port` in front of `upstream`; ready when it passes `/health` through.

    `upstream` is a port on the same loopback, or host:port.
    """
    config = folder / f"{name}.conf"
    config.write_text(
        _NGINX.format(
            address=place.address,
            port=port,
            upstream=_address(upstream),
            group=_nobody_group(),
            name=name,
        )
    )
    binary = programs.programs(["nginx"])["nginx"]
    argv = [binary, "-e", "stderr", "-p", str(folder), "-c", str(config)]
    servers.require_free(name, port, place)
    with servers.server(name, argv, folder=folder, place=place) as it:
        servers.wait_until(lambda: healthy(port, place), it)
        yield it


@contextmanager
def sidecar(
    folder: Path,
    port: int,
    upstream: str | int,
    *,
    place: Place = HERE,
    name: str = "sidecar",
    reuse: bool = True,
) -> Iterator[servers.Server]:
    """Run haproxy on `port` in front of `upstream`; ready when it passes `/health` through.

    `upstream` is a port on the same loopback, or host:port. Without `reuse` it opens a
    connection for each request.
    """
    config = folder / f"{name}.cfg"
    how = _REUSE if reuse else _CONNECT
    config.write_text(
        _HAPROXY.format(address=place.address, port=port, upstream=_address(upstream), reuse=how)
    )
    binary = programs.programs(["haproxy"])["haproxy"]
    servers.require_free(name, port, place)
    argv = [binary, "-db", "-q", "-f", str(config)]
    # Unprivileged from the start: a process that changes its user later is no
    # longer told when this program dies.
    with servers.server(name, argv, folder=folder, user="nobody", place=place) as it:
        servers.wait_until(lambda: healthy(port, place), it)
        yield it


def get(url: str, *, timeout_s: float = 30) -> bytes:
    """Return the body at a loopback URL, whatever proxy the environment names."""
    with build_opener(ProxyHandler({})).open(url, timeout=timeout_s) as answer:
        body: bytes = answer.read()
        return body


def healthy(port: int, place: Place = HERE) -> bool:
    """Return whether a server on this port answers `/health` with 200."""
    try:
        place.ask(lambda: get(f"http://{place.address}:{port}/health", timeout_s=2))
    except (URLError, OSError):
        return False
    return True


def _address(upstream: str | int) -> str:
    return upstream if isinstance(upstream, str) else f"127.0.0.1:{upstream}"


def _nobody_group() -> str:
    names = {entry.gr_name for entry in grp.getgrall()}
    return "nogroup" if "nogroup" in names else "nobody"
