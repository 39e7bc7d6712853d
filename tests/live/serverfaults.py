"""Faults of a small server, of what it calls, its memory and its network."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from faultbed import (
    HERE,
    Scene,
    behind,
    cable,
    cgroup,
    faulty,
    inside,
    large_file,
    one_server,
    two_servers,
)
from faultdisk import slow_disk, writing
from faultregistry import fault

from stackledger.labs import folders, gateway, servers, throttle

if TYPE_CHECKING:
    from collections.abc import Iterator


@fault("slow_downstream", "untraced")
def slow_downstream() -> Iterator[Scene]:
    with (
        folders.private_folder(None) as folder,
        faulty(folder, name="next") as (port, _),
        faulty(folder, next_port=port) as (front, server),
    ):
        url = f"http://127.0.0.1:{front}"
        yield Scene(url, ["/pool"], {"connections": 1}, pids=server.pids())


@fault("delayed_ack", "gateway sidecar app")
def nagle() -> Iterator[Scene]:
    with one_server("/nagle") as scene:
        yield scene


@fault("syscall_storm", "app")
def tiny_reads() -> Iterator[Scene]:
    with one_server("/tiny") as scene:
        scene.options = {"rate_hz": 20, "connections": 2}
        yield scene


@fault("fork_churn", "app")
def forks() -> Iterator[Scene]:
    with one_server("/fork") as scene:
        scene.options = {"rate_hz": 20, "connections": 2}
        yield scene


@fault("descriptor_leak", "app")
def descriptors() -> Iterator[Scene]:
    with one_server("/leak") as scene:
        yield scene


@fault("connection_churn", "app")
def churn() -> Iterator[Scene]:
    with two_servers() as url:
        yield Scene(url, ["/churn"], {"rate_hz": 60})


@fault("connection_leak", "app")
def lost_connections() -> Iterator[Scene]:
    with two_servers() as url:
        yield Scene(url, ["1:/lose", "2:/fine"], {"rate_hz": 60})


@fault("connection_leak", "app")
def half_closed_connections() -> Iterator[Scene]:
    with two_servers() as url:
        yield Scene(url, ["1:/ignore", "2:/fine"], {"rate_hz": 60})


@fault("pool_exhausted lock_wait", "app")
def pool() -> Iterator[Scene]:
    with two_servers() as url:
        yield Scene(url, ["/pool"])


@fault("accept_queue", "app")
def accept_queue() -> Iterator[Scene]:
    with (
        folders.private_folder(None) as folder,
        faulty(folder, LATE_S="0.05", BACKLOG="4") as (
            port,
            _,
        ),
        faulty(folder, next_port=port, name="front") as (front, _),
    ):
        yield Scene(f"http://127.0.0.1:{front}", ["/churn"], {"connections": 16})


@fault("fsync_stall", "app")
def fsyncs() -> Iterator[Scene]:
    with (
        folders.private_folder(None) as folder,
        throttle.throttle(folder) as limit,
        faulty(folder) as (port, server),
        behind(folder, port) as url,
    ):
        limit.add(server.pids)
        (limit.group / "blkio.throttle.write_iops_device").write_text(f"{limit.disk} 100")
        yield Scene(url, ["/sync"], {"rate_hz": 60})


@fault("writeback_storm", "app")
def write_back() -> Iterator[Scene]:
    with (
        folders.private_folder(None) as folder,
        slow_disk(folder, 20 << 20) as slow,
        faulty(slow) as (port, _),
        behind(folder, port) as url,
        writing(slow / "unimportant"),
    ):
        yield Scene(url, ["/sync"], {"rate_hz": 60})


@fault("cache_small memory_pressure", "app")
def small_cache() -> Iterator[Scene]:
    with folders.private_folder(None) as folder, faulty(folder) as (port, server):
        large_file(folder / "app" / "large", 40 << 20)
        group = cgroup("memory", server.pids(), limit_in_bytes=24 << 20)
        with group, behind(folder, port) as url:
            yield Scene(url, ["/cached"], {"rate_hz": 30, "connections": 2})


@fault("cache_cold", "app")
def cold_cache() -> Iterator[Scene]:
    with folders.private_folder(None) as folder, faulty(folder) as (port, _):
        large_file(folder / "app" / "large", 256 << 20)
        with behind(folder, port) as url:
            yield Scene(url, ["/cached"], {"rate_hz": 20, "connections": 2})


@fault("memory_pressure cache_small", "app")
def reclaim() -> Iterator[Scene]:
    with folders.private_folder(None) as folder, faulty(folder) as (port, server):
        large_file(folder / "app" / "large", 40 << 20)
        group = cgroup("memory", server.pids(), limit_in_bytes=22 << 20)
        with group, behind(folder, port) as url:
            yield Scene(url, ["1:/grow", "4:/cached"], {"rate_hz": 40, "connections": 2})


@fault("retransmits", "gateway sidecar app")
def packet_loss() -> Iterator[Scene]:
    with folders.private_folder(None) as folder, ExitStack() as running:
        here, there = running.enter_context(cable())
        port, front = servers.free_ports(["app", "front"]).values()
        argv = [*inside(here), sys.executable, str(HERE / "faulty_server.py"), str(port)]
        app = servers.server("app", argv, folder=folder, environment={"ADDRESS": "10.204.0.1"})
        running.enter_context(app)
        config = folder / "haproxy.cfg"
        config.write_text(
            gateway._HAPROXY.format(
                address="127.0.0.1",
                port=front,
                upstream=f"10.204.0.1:{port}",
                reuse="http-reuse always",
            )
        )
        argv = [*inside(there), shutil.which("haproxy") or "", "-db", "-q", "-f", str(config)]
        running.enter_context(servers.server("front", argv, folder=folder))
        time.sleep(1.0)
        subprocess.run(
            [*inside(here), "nft", "-f", "-"],
            input="table inet t {\nchain c {\ntype filter hook input priority 0\n"
            f"tcp dport {port} numgen random mod 100 < 5 drop\n}}\n}}\n",
            text=True,
            check=True,
        )
        yield Scene(f"http://127.0.0.1:{front}", ["/fine"], {"rate_hz": 150}, before=inside(there))
