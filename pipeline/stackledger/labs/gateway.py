"""The lab's proxies: nginx as the gateway and haproxy as the sidecar, keep-alive all along."""

from __future__ import annotations

import grp
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from stackledger.labs import programs, servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Neither proxy ends a connection after some number of requests, nor adds
# anything of its own to a request.
_NGINX = """\
daemon off;
worker_processes 1;
user nobody {group};
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path nginx-body;
    proxy_temp_path nginx-proxy;
    fastcgi_temp_path nginx-fastcgi;
    uwsgi_temp_path nginx-uwsgi;
    scgi_temp_path nginx-scgi;
    upstream next {{
        server 127.0.0.1:{upstream};
        keepalive 256;
        keepalive_requests 100000000;
        keepalive_time 1d;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=511;
        location / {{
            proxy_pass http://next;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_read_timeout 120s;
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
    http-reuse always
frontend inbound
    bind 127.0.0.1:{port}
    default_backend application
backend application
    server application 127.0.0.1:{upstream}
"""


@contextmanager
def gateway(folder: Path, port: int, upstream: int) -> Iterator[servers.Server]:
    """Run nginx on `port` in front of `upstream`; ready when it passes `/health` through."""
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(port=port, upstream=upstream, group=_nobody_group()))
    binary = programs.programs(["nginx"])["nginx"]
    argv = [binary, "-e", "stderr", "-p", str(folder), "-c", str(config)]
    servers.require_free("gateway", port)
    with servers.server("gateway", argv, folder=folder) as it:
        servers.wait_until(lambda: healthy(port), it)
        yield it


@contextmanager
def sidecar(folder: Path, port: int, upstream: int) -> Iterator[servers.Server]:
    """Run haproxy on `port` in front of `upstream`; ready when it passes `/health` through."""
    config = folder / "haproxy.cfg"
    config.write_text(_HAPROXY.format(port=port, upstream=upstream))
    binary = programs.programs(["haproxy"])["haproxy"]
    servers.require_free("sidecar", port)
    argv = [binary, "-db", "-q", "-f", str(config)]
    # Unprivileged from the start: a process that changes its user later is no
    # longer told when this program dies.
    with servers.server("sidecar", argv, folder=folder, user="nobody") as it:
        servers.wait_until(lambda: healthy(port), it)
        yield it


def get(url: str, *, timeout_s: float = 30) -> bytes:
    """Return the body at a loopback URL, whatever proxy the environment names."""
    with build_opener(ProxyHandler({})).open(url, timeout=timeout_s) as answer:
        body: bytes = answer.read()
        return body


def healthy(port: int) -> bool:
    """Return whether a server on this port answers `/health` with 200."""
    try:
        get(f"http://127.0.0.1:{port}/health", timeout_s=2)
    except (URLError, OSError):
        return False
    return True


def _nobody_group() -> str:
    names = {entry.gr_name for entry in grp.getgrall()}
    return "nogroup" if "nogroup" in names else "nobody"
