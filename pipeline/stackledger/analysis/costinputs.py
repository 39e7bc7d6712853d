"""Reads what a cost table needs to know of a capture beside its requests, and checks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackledger.analysis.billing import SeenDisk, Window
from stackledger.errors import NoSuchCaptureError, StackledgerError

if TYPE_CHECKING:
    import duckdb

_RESOURCES = ("cpu", "disk_ios", "disk_bytes", "recv_bytes", "send_bytes")


def windows_of(connection: duckdb.DuckDBPyConnection) -> list[Window]:
    """Return the priced windows, one per host; raises NoSuchCaptureError where there is none."""
    found = connection.execute(
        "SELECT host, window_ns, cpus, COALESCE(lost_share, 0) FROM cost_window ORDER BY host"
    ).fetchall()
    if not found:
        raise NoSuchCaptureError("there is no capture to price")
    for host, window_ns, cpus, lost in found:
        if not window_ns or window_ns <= 0 or not cpus or cpus <= 0 or not 0 <= lost <= 1:
            raise StackledgerError(
                "the capture's window, CPUs or losses make no sense",
                f"{host}: window_ns {window_ns}, cpus {cpus}, lost_share {lost}",
            )
    return [Window(str(host), int(ns), int(cpus), float(lost)) for host, ns, cpus, lost in found]


def disk_ios(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return the I/Os of each layer that used a disk."""
    wrong = connection.execute(
        "SELECT endpoint FROM cost_demand WHERE requests IS NULL OR requests <= 0 OR "
        "LEAST(cpu_ns, disk_ios, disk_bytes, net_bytes) < 0 ORDER BY endpoint LIMIT 1"
    ).fetchone()
    if wrong:
        raise StackledgerError("an endpoint has no requests, or used less than nothing", wrong[0])
    layers = connection.execute(
        "SELECT layer, SUM(disk_ios) FROM cost_demand "
        "WHERE disk_ios > 0 OR disk_bytes > 0 GROUP BY layer ORDER BY layer"
    ).fetchall()
    return {str(layer): int(ios) for layer, ios in layers}


def unattributed_use(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return the use per resource that belongs to no request, the tracer's included."""
    found = connection.execute(
        "SELECT resource, COALESCE(SUM(use), 0) FROM cost_unattributed GROUP BY resource"
    ).fetchall()
    for resource, use in found:
        if resource not in _RESOURCES or use < 0:
            raise StackledgerError("unattributed use makes no sense", f"{resource}: {use}")
    return {str(resource): int(use) for resource, use in found}


def seen_disks(connection: duckdb.DuckDBPyConnection) -> list[SeenDisk]:
    """Return the disks that were used, once per layer."""
    found = connection.execute(
        "SELECT DISTINCT host, device, COALESCE(layer, '') FROM cost_disks ORDER BY ALL"
    ).fetchall()
    return [SeenDisk(str(host), str(device), str(layer)) for host, device, layer in found]
