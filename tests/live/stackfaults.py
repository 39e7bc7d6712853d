"""Faults in the lab's stack: the database, the application, the CPUs under them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from faultbed import Scene, burning, cgroup, locking
from faultregistry import fault

from stackledger.labs import node_stack, stack

if TYPE_CHECKING:
    from collections.abc import Iterator

# What the stack does when it is well: all in memory, all answered within some ms.
HEALTHY = ([f"4:{stack.ORDERS_PATH}", "1:/health"], {"rate_hz": 100})


@fault("", "")
def healthy() -> Iterator[Scene]:
    with stack.stack() as running:
        running.warm_cache()
        yield Scene(running.url, *HEALTHY)


@fault("disk_limit", "database")
def throttled_iops() -> Iterator[Scene]:
    with stack.stack(throttle_read_iops=200) as running:
        yield Scene(running.url, [stack.ORDERS_PATH], {"connections": 16})


@fault("disk_limit", "database")
def throttled_throughput() -> Iterator[Scene]:
    with stack.stack(throttle_read_iops=200) as running:
        running.set_read_iops(None)
        assert running.limit is not None
        rule = running.limit.group / "blkio.throttle.read_bps_device"
        rule.write_text(f"{running.limit.disk} {1 << 20}")
        yield Scene(running.url, [stack.ORDERS_PATH], {"connections": 16})


@fault("commit_wait fsync_stall", "database")
def slow_commits() -> Iterator[Scene]:
    with stack.stack(own_disk=True, limited=("database",)) as running:
        running.set_iops(None, 100)
        yield Scene(running.url, ["/api/pay/{1-10000}"], {"connections": 4})


@fault("cpu_contention", "host")
def cpu_hog() -> Iterator[Scene]:
    with stack.stack() as running, burning(8):
        running.warm_cache()
        yield Scene(running.url, *HEALTHY)


def _quota(service: str) -> Iterator[Scene]:
    with stack.stack() as running, ExitStack() as group:
        pids = running.pids()[service]
        group.enter_context(cgroup("cpu", pids, cfs_period_us=100000, cfs_quota_us=3000))
        running.warm_cache()
        yield Scene(running.url, *HEALTHY)


@fault("cpu_quota", "app")
def cpu_quota() -> Iterator[Scene]:
    yield from _quota("app")


@fault("cpu_quota", "database")
def database_quota() -> Iterator[Scene]:
    yield from _quota("database")


@fault("cpu_time", "database")
def costly_query() -> Iterator[Scene]:
    with stack.stack() as running:
        yield Scene(running.url, ["/api/report?times=20"], {"rate_hz": 10, "connections": 1})


@fault("database_lock", "database")
def row_lock() -> Iterator[Scene]:
    with stack.stack() as running, locking(running.database.port):
        yield Scene(running.url, ["/api/pay/{1-10000}"], {"rate_hz": 60, "connections": 4})


@fault("cpu_time", "app")
def busy_loop() -> Iterator[Scene]:
    with stack.stack() as running:
        yield Scene(running.url, ["/api/busy"], {"rate_hz": 20, "connections": 1})


@fault("lock_wait", "app")
def lock() -> Iterator[Scene]:
    with stack.stack() as running:
        yield Scene(running.url, ["/api/lock"], {"rate_hz": 60, "connections": 4})


@fault("sleep", "app")
def sleep() -> Iterator[Scene]:
    with stack.stack() as running:
        yield Scene(running.url, ["/api/sleep"], {"rate_hz": 60, "connections": 4})


@fault("event_loop", "app")
def event_loop() -> Iterator[Scene]:
    with node_stack.node_stack() as running:
        paths = ["4:/api/items/{1-10000}", "1:/api/spin"]
        yield Scene(running.url, paths, {"rate_hz": 400, "connections": 16})
