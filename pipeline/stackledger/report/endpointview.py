"""Endpoints and links between services as the page shows them: all texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.report.format import NO_VALUE, count, duration, share
from stackledger.report.servicemap import CLIENTS
from stackledger.report.shown import text

if TYPE_CHECKING:
    from stackledger.report.requestdata import EndpointRow, ServiceRow, ServiceTime


@dataclass(frozen=True, slots=True)
class EndpointView:
    """One root endpoint, as texts."""

    endpoint: str
    requests: str
    rate: str
    mean: str
    p50: str
    p95: str
    p99: str
    cpu: str
    cpu_each: str
    disk: str
    disk_width: float
    errors: str
    failing: bool


def endpoint_view(row: EndpointRow, window_ns: int) -> EndpointView:
    """Return one line of the table of endpoints."""
    disk = row.disk_share or 0.0
    return EndpointView(
        endpoint=text(row.endpoint),
        requests=count(row.requests),
        rate=_rate(row.requests, window_ns),
        mean=duration(row.mean_ns),
        p50=duration(row.p50_ns),
        p95=duration(row.p95_ns),
        p99=duration(row.p99_ns),
        cpu=duration(row.cpu_ns),
        cpu_each=duration(row.cpu_ns / row.requests),
        disk=share(row.disk_share),
        disk_width=round(min(max(disk, 0.0), 1.0) * 100, 1),
        errors=count(row.errors),
        failing=row.errors > 0,
    )


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One caller and callee, as texts."""

    caller: str
    callee: str
    traced: bool
    calls: str
    rate: str
    mean: str
    own: str
    errors: str
    failing: bool


def service_view(row: ServiceRow, spent: ServiceTime | None, window_ns: int) -> ServiceView:
    """Return one line of the table of links; `spent` is the callee's, None if not traced."""
    return ServiceView(
        caller=CLIENTS if row.caller is None else text(row.caller, 60),
        callee=text(row.callee, 60),
        traced=row.traced,
        calls=count(row.calls),
        rate=_rate(row.calls, window_ns),
        mean=duration(row.mean_ns),
        own=duration(spent.own_ns) if spent is not None and row.traced else NO_VALUE,
        errors=count(row.errors),
        failing=bool(row.errors),
    )


def _rate(number: int, window_ns: int) -> str:
    if window_ns <= 0:
        return NO_VALUE
    rate = number * 1e9 / window_ns
    return f"{count(rate)}/s" if rate >= 9.5 or not number else f"{count(rate * 60)}/min"
